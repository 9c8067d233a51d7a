"""One file a kind of figure; `style.py` holds colours, line styles and how files are written."""
