"""actbench: which activation function should I use here, and is the difference real?"""

from importlib.metadata import version

__version__ = version("actbench")
