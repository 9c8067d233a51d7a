"""A document as blocks, written as Markdown, HTML, LaTeX, or Typst and PDF.

May import what `report` may, and knows nothing of activations. Start with `blocks.py`.
"""
