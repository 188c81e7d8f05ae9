"""The code location that ``dagster dev`` loads: the definitions of every corpus in ``assets/``."""

import dagster as dg

from assets.handbook import handbook

defs = dg.Definitions.merge(handbook.definitions())
