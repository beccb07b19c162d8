"""The widgets: each asks the learner's own object and draws what it says.

    from minihyena.explore import FilterStudio
    FilterStudio(model)

A module is imported when its name is first used, so that the machine card can tell
what is missing even where ipywidgets or plotly are.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minihyena.explore.base import Explorer
    from minihyena.explore.card import Card
    from minihyena.explore.causality_auditor import CausalityAuditor
    from minihyena.explore.evidence_plot import EvidencePlot
    from minihyena.explore.filter_builder import FilterBuilder
    from minihyena.explore.filter_painter import FilterPainter
    from minihyena.explore.filter_studio import FilterStudio
    from minihyena.explore.filter_views import snapshot
    from minihyena.explore.gate_playground import GatePlayground
    from minihyena.explore.image_filter import ImageFilter
    from minihyena.explore.loss_plot import LossPlot
    from minihyena.explore.machine_card import MachineCard
    from minihyena.explore.matrix_lens import MatrixLens
    from minihyena.explore.order_builder import OrderBuilder
    from minihyena.explore.order_slider import OrderSlider
    from minihyena.explore.parts import table, texts
    from minihyena.explore.reverse_complement import ReverseComplement
    from minihyena.explore.scaling_plot import ScalingPlot
    from minihyena.explore.slide_and_multiply import SlideAndMultiply
    from minihyena.explore.task_theatre import TaskTheatre
    from minihyena.explore.toeplitz_explorer import ToeplitzExplorer
    from minihyena.explore.token_loop import TokenLoop
    from minihyena.explore.token_mixer import TokenMixer
    from minihyena.explore.training_dashboard import TrainingDashboard
    from minihyena.explore.training_room import TrainingRoom
    from minihyena.explore.turning_hands import TurningHands
    from minihyena.explore.wrap_around import WrapAround

__all__ = [
    "Card",
    "CausalityAuditor",
    "EvidencePlot",
    "Explorer",
    "FilterBuilder",
    "FilterPainter",
    "FilterStudio",
    "GatePlayground",
    "ImageFilter",
    "LossPlot",
    "MachineCard",
    "MatrixLens",
    "OrderBuilder",
    "OrderSlider",
    "ReverseComplement",
    "ScalingPlot",
    "SlideAndMultiply",
    "TaskTheatre",
    "ToeplitzExplorer",
    "TokenLoop",
    "TokenMixer",
    "TrainingDashboard",
    "TrainingRoom",
    "TurningHands",
    "WrapAround",
    "snapshot",
    "table",
    "texts",
]

_HOMES = {
    "Card": "card",
    "CausalityAuditor": "causality_auditor",
    "EvidencePlot": "evidence_plot",
    "Explorer": "base",
    "FilterBuilder": "filter_builder",
    "FilterPainter": "filter_painter",
    "FilterStudio": "filter_studio",
    "GatePlayground": "gate_playground",
    "ImageFilter": "image_filter",
    "LossPlot": "loss_plot",
    "MachineCard": "machine_card",
    "MatrixLens": "matrix_lens",
    "OrderBuilder": "order_builder",
    "OrderSlider": "order_slider",
    "ReverseComplement": "reverse_complement",
    "ScalingPlot": "scaling_plot",
    "SlideAndMultiply": "slide_and_multiply",
    "TaskTheatre": "task_theatre",
    "ToeplitzExplorer": "toeplitz_explorer",
    "TokenLoop": "token_loop",
    "TokenMixer": "token_mixer",
    "TrainingDashboard": "training_dashboard",
    "TrainingRoom": "training_room",
    "TurningHands": "turning_hands",
    "WrapAround": "wrap_around",
    "snapshot": "filter_views",
    "table": "parts",
    "texts": "parts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("ipywidgets", "plotly"):
            raise
        raise ImportError(
            f"{name} needs {error.name}; mend it: pip install {error.name} "
            "(MachineCard() and `python -m minihyena doctor` tell all that is missing)"
        ) from error
    return getattr(module, name)
