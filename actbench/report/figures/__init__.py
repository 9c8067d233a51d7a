"""One file per kind of figure; `style.py` has the colours and line styles, and writes files."""
