"""`python -m varnish_gateway_operator`."""

import sys

from varnish_gateway_operator.cli import main

sys.exit(main())
