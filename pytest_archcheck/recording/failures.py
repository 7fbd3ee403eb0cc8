"""What to tell when a forward raises: the layer, what it wanted, what it got, the trace so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from traceback import walk_tb

from pytest_archcheck.drift.writer import call_text, config_text, spec_text
from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.layers import Frame
from pytest_archcheck.recording.recorder import Recorder
from pytest_archcheck.records import Module, TensorSpec

_SHOWN = 5
_RECORDED = " while it was recorded"


def explain_failure(recorder: Recorder, error: BaseException, device: str) -> str:
    """The message for a forward that raised on a device."""
    model = recorder.clone.__class__.__name__
    failure = recorder.layers.failure
    failure = failure if failure is not None and failure.error is error else None
    frame = failure.frame if failure is not None else None
    where = (frame.owner.module.name or "the root") if frame else "the start"
    lines = [f"{model} failed at {where}{_RECORDED} on {device}"]
    if frame is not None:
        record = frame.owner.module
        lines.append(f"  layer:  {record.type}{config_text(record)}")
        wanted = _wanted(record)
        if wanted:
            lines.append(f"  wanted: {wanted}")
        lines.append(f"  got:    {_listed(frame.inputs)}")
    if failure is not None and failure.function:
        lines.append(f"  call:   {failure.function} of {_listed(failure.operands)}")
    message = (str(error).strip().splitlines() or [""])[0].removesuffix(", but expected one of:")
    place = place_in_project(error)
    lines.append(f"  {'raised:' if place else 'torch: '} {type(error).__name__}: {message}{place}")
    done = [call for call in recorder.calls if call is not None]
    if done:
        lines.append(f"  the trace so far, last {min(len(done), _SHOWN)} of {len(done)} calls:")
        lines += [f"    {call_text(call, derived=False)}" for call in done[-_SHOWN:]]
    else:
        lines.append("  the trace so far: nothing ran before it")
    if device == "meta" and _needs_values(error):
        lines.append(
            "  do: if the forward needs values (.item(), a branch on data), record on cpu or with auto"
            " (device=, --device, in pytest --arch-device)"
        )
    elif not recorder.given:
        lines.append(
            "  do: it was called without a tensor; give a shape, a tuple as in (1, 3, 224, 224), or a tensor"
        )
    else:
        lines.append(f"  do: {_advice(frame)}")
    return "\n".join(lines)


def _advice(frame: Frame | None) -> str:
    """What to do where a layer refuses what it is given."""
    if frame is not None and frame.inputs:
        record, given = frame.owner.module, frame.inputs[0]
        wanted = _wanted(record)
        if wanted.startswith("integers") and given.dtype.startswith(("float", "bfloat")):
            high = record.config["num_embeddings"]
            return (
                f'give integers: spec(1, 16, dtype="int64", high={high}), on the command line 1x16:int64:{high}; '
                "or mend its forward"
            )
        if (
            wanted.startswith("[N,")
            and "…" not in wanted
            and len(given.shape) == wanted.partition("]")[0].count(",")
        ):
            return "give the batch too, one dimension more: (1, 3, 32, 32) is one image; or mend its forward"
    return "check what the model is called with against what the layer wanted, or mend its forward"


def _needs_values(error: BaseException) -> bool:
    """Whether torch says of an error that it is due to meta, which has none."""
    return isinstance(error, NotImplementedError) or "meta" in str(error).lower()


def in_short(error: Exception) -> str:
    """One line: where a recording failed, and why."""
    line = str(error).splitlines()[0]
    cause = error.__cause__
    if cause is None or type(cause).__name__ in line:
        return line
    return f"{line}: {type(cause).__name__}: {(str(cause).strip().splitlines() or [''])[0]}"


def tried(failures: Mapping[str, RecordingError], told: RecordingError) -> str:
    """One line on the placements that a model failed on besides the one that is told; empty where that says all."""
    ends = {name: _end(name, error) for name, error in failures.items()}
    others = {name: end for name, end in ends.items() if failures[name] is not told}
    known = next(end for name, end in ends.items() if failures[name] is told)
    if all(end == known for end in others.values()):
        is_placed = known[0] != str(told).splitlines()[0]
        return f"  tried:  {' and '.join(ends)}, which fail alike" if others and is_placed else ""
    texts = (f"{name}: {in_short(failures[name]).replace(f'{_RECORDED} on {name}', '')}" for name in others)
    return f"  tried:  {'; '.join(texts)}"


def _end(name: str, error: RecordingError) -> tuple[str, type[BaseException] | None]:
    """Where and how a recording ended, whatever its placement: torch says the same otherwise on each."""
    cause = error.__cause__
    line = str(error).splitlines()[0].removesuffix(f" on {name}").removesuffix(_RECORDED)
    return line, None if cause is None else type(cause)


def place_in_project(error: BaseException) -> str:
    """The file and line, in parentheses, of what neither torch nor this package raised; else empty."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    if str(frame.f_globals.get("__name__")).partition(".")[0] in ("torch", "pytest_archcheck"):
        return ""
    path = Path(frame.f_code.co_filename)
    return f" ({path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line})"


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(spec_text(spec) for spec in specs) or "no tensor"


def _wanted(record: Module) -> str:
    """What the first operand of one of ``torch.nn``'s layers has to be."""
    config = record.config
    if not record.is_torch:
        return ""
    if "in_channels" in config:
        return f"[N,{config['in_channels']},{_space(record)}]: {config['in_channels']} channels"
    if "in_features" in config:
        return f"[…,{config['in_features']}]: {config['in_features']} features last"
    if "num_features" in config:
        return f"[N,{config['num_features']},{_space(record)}]: {config['num_features']} channels"
    if "normalized_shape" in config:
        shape = config["normalized_shape"]
        dims = ",".join(map(str, shape)) if isinstance(shape, tuple) else str(shape)
        return f"[…,{dims}]"
    if "num_embeddings" in config:
        return f"integers from 0 to {config['num_embeddings']} (exclusive)"
    if "embed_dim" in config:
        return f"[…,{config['embed_dim']}]: {config['embed_dim']} features last"
    if "input_size" in config:
        return f"[…,{config['input_size']}]: {config['input_size']} features last"
    return ""


def _space(record: Module) -> str:
    """The dimensions after the channels, by the class's name; of ``BatchNorm1d`` there may be none."""
    dims = record.type[-2:] if "BatchNorm1d" not in record.type else ""
    return {"1d": "L", "2d": "H,W", "3d": "D,H,W"}.get(dims, "…")
