"""A document as blocks, written as Markdown, HTML, LaTeX, or Typst and PDF.

May import what `report` may, and knows nothing of activations. Start with `blocks.py`.
Tables are not by pandas' Styler: templates of Jinja2 are as short, and its Typst has neither alignment nor colours.
"""
