"""Translation: a snapshot in, a plan out. Pure: no clock, no randomness, no log, no input or output.

classes, listeners -> gateways -> attach -> (rules: matches, filters, backends, references) -> routing, vcl, infra
                          `----> certificates (pem, tls)                                        -> status, objects
"""

from varnish_gateway_operator.translate.certificates import CertificateMemory
from varnish_gateway_operator.translate.memory import Memory
from varnish_gateway_operator.translate.options import Options
from varnish_gateway_operator.translate.plan import GatewayPlan, Plan
from varnish_gateway_operator.translate.programmed import Reports
from varnish_gateway_operator.translate.translation import translate

__all__ = ["CertificateMemory", "GatewayPlan", "Memory", "Options", "Plan", "Reports", "translate"]
