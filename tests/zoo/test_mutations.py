"""A change planted in a library turns exactly the models red that have it, each with its cause on the first line."""

from tests.zoo.committed import needs_transformers
from tests.zoo.mutations import MUTATIONS, failures_with

SLOW = ("rcnn", "retinanet", "fcos", "ssd", "quantized")
"""What needs values; ``nox -s mutations`` runs these too, and one mutation at a time."""


@needs_transformers
def test_planted_changes_turn_exactly_the_affected_models_red():
    """All are planted at once: no model has two of them."""
    red = failures_with(*MUTATIONS, options=("-p", "no:randomly", "-k", f"not ({' or '.join(SLOW)})"))
    causes = {model: mutation.cause for mutation in MUTATIONS.values() for model in mutation.affected}

    assert red.keys() == {model for model in causes if not any(word in model for word in SLOW)}
    assert {model: line for model, line in red.items() if causes[model] not in line} == {}
