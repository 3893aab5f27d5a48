"""Every view by name."""

from __future__ import annotations

from collections.abc import Mapping

from foundry.datasets.views import completion, explain, preference, repair, sft
from foundry.datasets.views.view import View

VIEWS: Mapping[str, View] = {
    module.VIEW.name: module.VIEW for module in (sft, repair, preference, explain, completion)
}
"""In the order in which cards list them."""
