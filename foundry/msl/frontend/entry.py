"""The functions around a kernel: its head as C++, and the entries the runtime calls.

A kernel that does not synchronise gets `mf_run_items`, a loop over threads that clang can
vectorise: over whole rows of the grid when nothing in it depends on its threadgroup (`flat`), else
threadgroup by threadgroup (`groups`). Any other kernel gets `mf_run_thread`, one thread (`fibres`).
For the chip model it gets `mf_run_gpu`, which takes buffers as a GPU's kernel does (`gpu`).
"""

from __future__ import annotations

from foundry.msl.frontend.signature import Parameter, Signature

FLAT, GROUPS, FIBRES, GPU = "flat", "groups", "fibres", "gpu"

_UNIFORM_ATTRIBUTES = frozenset(
    {
        "dispatch_quadgroups_per_threadgroup",
        "dispatch_simdgroups_per_threadgroup",
        "dispatch_threads_per_threadgroup",
        "grid_origin",
        "grid_size",
        "thread_execution_width",
        "thread_position_in_grid",
        "threadgroups_per_grid",
        "threads_per_grid",
        "threads_per_simdgroup",
    }
)
_FLAT_LOOP = """\
mf::for_flat(launch, begin, end,
      [&](mf::u32 x, mf::u32 y, mf::u32 z) __attribute__((always_inline)) {
    const mf::Position at = {}; (void)at, (void)x, (void)y, (void)z;"""
_GROUP_LOOP = """\
mf::for_groups(launch, begin, end,
      [&](const mf::Position& at) __attribute__((always_inline)) {
    (void)at;"""


def loop_mode(signature: Signature) -> str:
    """How a kernel without synchronisation runs."""
    return FLAT if signature.attributes <= _UNIFORM_ATTRIBUTES else GROUPS


def kernel_head(signature: Signature) -> str:
    """The kernel's template line and head, up to the brace that opens its body."""
    parameters = ", ".join(f"{p.type} {p.name}" for p in signature.parameters)
    return (
        f"\n{signature.template} static inline __attribute__((always_inline)) void"
        f" {signature.kernel}({parameters}) {{"
    )


def entry(signature: Signature, mode: str) -> str:
    """The entry function for a mode, and the constant that tells the mode."""
    if mode == GPU:
        mode, code = FIBRES, _gpu_entry(signature)
    else:
        code = _fibre_entry(signature) if mode == FIBRES else _loop_entry(signature, mode)
    number = (FLAT, GROUPS, FIBRES).index(mode)
    return f'{code}extern "C" MF_EXPORT const mf::u32 mf_mode = {number};\n'


def _fibre_entry(signature: Signature) -> str:
    arguments = ", ".join([*map(_buffer, _buffers(signature)), *_values(signature, FIBRES)])
    return f"""\
extern "C" MF_EXPORT void mf_run_thread(const mf::Launch* launch_pointer,
                                        const mf::Position* position) {{
  const mf::Launch& launch = *launch_pointer;
  const mf::Position& at = *position;
  (void)launch, (void)at;
  {signature.kernel}{signature.arguments}({arguments});
}}
MF_STORAGE_TABLE
"""


def _gpu_entry(signature: Signature) -> str:
    buffers = _buffers(signature)
    taken = [f"__attribute__((address_space({_space(p)}))) void* mf_{p.buffer}" for p in buffers]
    passed = [*map(_from_gpu, buffers), *_values(signature, FIBRES)]
    three = [f"{{{', '.join(f'mf_gpu_launch({3 * n + d})' for d in range(3))}}}" for n in range(4)]
    local, group = (f"{{{', '.join(f'mf_gpu_{w}({d})' for d in range(3))}}}" for w in _PLACES)
    return f"""\
extern "C" MF_EXPORT void mf_run_gpu({", ".join(sorted(taken, key=_number_of))}) {{
  using namespace mf;
  const mf::Launch launch = {{nullptr, {", ".join(three[:3])}}};
  const mf::Position at = {{{local}, {group}, {three[3]}, mf_gpu_index()}};
  (void)launch, (void)at;
  {signature.kernel}{signature.arguments}({", ".join(passed)});
}}
MF_STORAGE_TABLE
"""


_PLACES = ("local", "group")


def _number_of(taken: str) -> int:
    return int(taken.rpartition("_")[2])


def _space(parameter: Parameter) -> int:
    """AMD's number of the memory that a buffer is in: constants are read once a SIMD-group."""
    return 4 if "constant" in parameter.type.split() else 1


def _from_gpu(parameter: Parameter) -> str:
    if parameter.type.endswith("&"):
        return f"*({parameter.type[:-1]}*)mf_{parameter.buffer}"
    return f"({parameter.type})mf_{parameter.buffer}"


def _loop_entry(signature: Signature, mode: str) -> str:
    buffers = _buffers(signature)
    names = [f"mf_{number}" for number in range(len(buffers))]
    types = [p.type if signature.may_overlap else _restricted(p) for p in buffers]
    parameters = "".join(f", {kind} {name}" for kind, name in zip(types, names, strict=True))
    passed = "".join(f", {_buffer(p)}" for p in buffers)
    return f"""\
static __attribute__((noinline)) void mf_items(const mf::Launch& launch, mf::u64 begin,
                                               mf::u64 end{parameters}) {{
  {_FLAT_LOOP if mode == FLAT else _GROUP_LOOP}
    {signature.kernel}{signature.arguments}({", ".join([*names, *_values(signature, mode)])});
  }});
}}
extern "C" MF_EXPORT void mf_run_items(const mf::Launch* launch_pointer, mf::u64 begin,
                                       mf::u64 end) {{
  const mf::Launch& launch = *launch_pointer;
  mf_items(launch, begin, end{passed});
}}
"""


def _buffers(signature: Signature) -> list[Parameter]:
    return [p for p in signature.parameters if p.buffer is not None]


def _buffer(parameter: Parameter) -> str:
    """The expression that takes a buffer from the launch as the parameter's type."""
    at = f"launch.buffers[{parameter.buffer}]"
    if parameter.type.endswith("&"):
        return f"*static_cast<{parameter.type[:-1]}*>({at})"
    return f"static_cast<{parameter.type}>({at})"


def _values(signature: Signature, mode: str) -> list[str]:
    """What the kernel takes beside buffers: thread attributes, and memory that the host sizes."""
    taken = [p for p in signature.parameters if p.buffer is None]
    return [
        _attribute(p, mode) if p.storage is None else _argument(p.type, p.storage) for p in taken
    ]


def _attribute(parameter: Parameter, mode: str) -> str:
    if mode == FLAT and parameter.attribute == "thread_position_in_grid":
        value = "mf::attribute::uint3(x, y, z)"
    else:
        value = f"mf::attribute::{parameter.attribute}(launch, at)"
    return f"mf::attribute::as<{parameter.type}>({value})"


def _argument(type_name: str, number: int) -> str:
    if type_name.endswith("&"):
        return f"*{_argument(f'{type_name[:-1]}*', number)}"
    return f"mf::threadgroup_argument<{type_name}, {number}>()"


def _restricted(parameter: Parameter) -> str:
    """Buffers that do not overlap: said to the optimiser, loops can be vectorised."""
    return f"{parameter.type}{' __restrict' if parameter.type.endswith('*') else ''}"
