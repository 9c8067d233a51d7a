"""A document as blocks (`blocks.py`), written as Markdown, HTML, LaTeX or Typst and PDF."""
