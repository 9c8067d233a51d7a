"""Documents in four languages: blocks in, text out. Nothing here knows what they are about."""
