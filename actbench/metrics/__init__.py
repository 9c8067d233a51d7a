"""What is measured of units, gradients and convergence. Metrics compute; they never draw and never store.

Imports only the rooms before it. Start with `units.py`; `inspect.py` measures any `torch.nn.Module`.
"""
