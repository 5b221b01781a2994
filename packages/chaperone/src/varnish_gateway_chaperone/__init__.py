"""Chaperone runs varnishd with ghost for one Gateway.

    sources --> Inputs --merge (pure)--> Desired --reload--> varnishd (VCL), ghost (ghost.json) --> report.json

`app` puts the parts of one chaperone together, `standalone` starts the translator and a chaperone per Gateway.
"""

from importlib.metadata import version

__version__ = version("varnish-gateway-chaperone")
