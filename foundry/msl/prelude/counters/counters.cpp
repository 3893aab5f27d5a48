// Counts what SIMD-groups do to memory, from what their lanes do one after another.
//
// 1. A lane writes an event for each access and each collective: what, where, and its place in the
//    program with the turns of all loops around it.
// 2. When no lane of the SIMD-group can run, the events of all lanes are merged in program order;
//    those with equal places and turns are one instruction of the SIMD-group.
// 3. A lane whose buffer is full waits for the others; an event waits until no lane that runs on
//    can still reach an earlier place.
#include "gpu.h"

namespace mf::counters {

State state;

namespace {

// In words: what is at which offset of an event; its path follows.
enum Field : u32 { head, place, address_low, address_high, length, caller, path };

struct Buffer {
  u32 begin, end;
  u32 words[buffer_words];
  bool empty() const { return begin == end; }
  const u32* first() const { return words + begin; }
};

struct Thread {
  u32 base;  // word at which the current function's part of the path starts
  u32 last;  // word of the latest event's place
  u32 words[path_words];
  u32& word(u32 index) { return words[index < path_words ? index : path_words - 1]; }
};

constexpr u32 most_event_words = path + path_words;

Buffer buffers[simd_width];
Thread threads[max_threads];
u32 paused;  // lanes whose buffers are full
u32 draining;  // number of the SIMD-group whose events are merged

u32 kind_of(const u32* event) { return event[head] >> 16; }
u32 path_of(const u32* event) { return event[head] & 0xffff; }

// Sorts two events in program order, as memcmp.
int compare(const u32* a, const u32* b) {
  const u32 count = lesser(path_of(a), path_of(b));
  for (u32 i = path; i < path + count; ++i)
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  return int(path_of(a)) - int(path_of(b));
}

struct Span {
  u64 begin, end;
};

// The accesses of one instruction to one array, sorted by their start.
struct Spans {
  u32 count = 0;
  Span span[simd_width];
  void add(u64 begin, u64 end) {
    u32 at = count++;
    for (; at && span[at - 1].begin > begin; --at) span[at] = span[at - 1];
    span[at] = {begin, end};
  }
};

u64 divide_up(u64 a, u64 b) { return (a + b - 1) / b; }

// Calls body(first, last) for the blocks of `size` bytes that the spans touch, each block once.
template <typename Body>
void for_blocks(const Spans& spans, u64 size, Body body) {
  u64 next = 0;
  for (u32 i = 0; i < spans.count; ++i) {
    const Span& span = spans.span[i];
    const u64 begin = span.begin / size, end = divide_up(span.end, size);
    const u64 from = begin > next ? begin : next;
    if (from < end) body(from, next = end);
  }
}

u64 unique_bytes(const Spans& spans) {
  u64 bytes = 0;
  for_blocks(spans, 1, [&](u64 begin, u64 end) { bytes += end - begin; });
  return bytes;
}

struct Cost {
  u64 units, ideal;
};

Cost lines(const Spans& spans) {
  u64 touched = 0;
  for_blocks(spans, line_bytes, [&](u64 begin, u64 end) { touched += end - begin; });
  return {touched, divide_up(unique_bytes(spans), line_bytes)};
}

Cost conflicts(const Spans& spans) {
  u64 in_bank[banks] = {}, most = 0, all = 0;
  for_blocks(spans, word_bytes, [&](u64 begin, u64 end) {
    all += end - begin;
    for (u64 word = begin; word < end; ++word) {
      const u64 full = ++in_bank[word % banks];
      if (full > most) most = full;
    }
  });
  return {most, divide_up(all, banks)};
}

// Most lanes at one address: they go one after another.
u64 contention(const Spans& spans) {
  u64 most = 0;
  for (u32 i = 0, same = 0; i < spans.count; ++i) {
    same = i && spans.span[i].begin == spans.span[i - 1].begin ? same + 1 : 1;
    if (same > most) most = same;
  }
  return most;
}

// Number of the array that an address is in; `arrays` for none.
u32 array_of(uptr address) {
  auto holds = [address](const Range& range) { return address - range.begin < range.end - range.begin; };
  if (holds(state.ranges[state.latest])) return state.latest;
  for (u32 i = 0; i < state.arrays; ++i)
    if (holds(state.ranges[i])) return state.latest = i;
  return state.arrays;
}

uptr address_of(const u32* event) { return event[address_low] | u64(event[address_high]) << 32; }

Tally& tally_of(const u32* event, u32 array) {
  return state.tally[u64(event[place]) * state.arrays + array];
}

// The place and the turns of the loops around it.
u64 hash_of(const u32* event) {
  u64 hash = 0xcbf29ce484222325ull;
  for (u32 i = path; i < path + path_of(event); ++i) hash = (hash ^ event[i]) * 0x100000001b3ull;
  return hash;
}

void add(const u32* event, u32 array, const Spans& spans, u64 bytes) {
  Tally& tally = tally_of(event, array);
  const u32 kind = kind_of(event);
  const Cost cost = state.ranges[array].is_threadgroup ? conflicts(spans) : lines(spans);
  const u64 extreme = kind >= atomic_load && kind <= atomic_update ? contention(spans) : cost.units;
  ++tally.instructions;
  tally.accesses += spans.count;
  tally.bytes += bytes;
  tally.units += cost.units;
  tally.ideal += cost.ideal;
  if (extreme > tally.worst) tally.worst = extreme;
  tally.caller = event[caller];
  if (!blocks.reuse || state.ranges[array].is_threadgroup) return;
  const u64 way = hash_of(event);
  for_blocks(spans, line_bytes, [&](u64 begin, u64 end) {
    touch_lines(2 * array + (kind == store), draining, way, begin, end);
  });
  for_blocks(spans, sector_bytes, [&](u64 begin, u64 end) {
    touch_sectors(2 * array + (kind == store), begin, end);
  });
}

// Lanes that execute one instruction; it may touch several arrays.
void account(u32 lanes) {
  const u32* any = buffers[__builtin_ctz(lanes)].first();
  if (kind_of(any) >= collective) return void(++tally_of(any, 0).instructions);
  while (lanes) {
    const u32* event = buffers[__builtin_ctz(lanes)].first();
    const u32 array = array_of(address_of(event));
    Spans spans;
    u64 bytes = 0;
    for (u32 rest = lanes; rest; rest &= rest - 1) {
      const u32* other = buffers[__builtin_ctz(rest)].first();
      if (array_of(address_of(other)) != array) continue;
      const u64 offset = address_of(other) - state.block;
      spans.add(offset, offset + other[length]);
      bytes += other[length];
      lanes &= ~(rest & -rest);
    }
    if (array < state.arrays) add(event, array, spans, bytes);
  }
}

u32 lanes_with_events() {
  u32 lanes = 0;
  for (u32 i = 0; i < simd_width; ++i) lanes |= u32(!buffers[i].empty()) << i;
  return lanes;
}

u32 lanes_at_earliest(u32 lanes) {
  u32 found = lanes & -lanes;
  const u32* least = buffers[__builtin_ctz(lanes)].first();
  for (u32 rest = lanes & (lanes - 1); rest; rest &= rest - 1) {
    const u32 bit = rest & -rest;
    const u32* event = buffers[__builtin_ctz(rest)].first();
    const int order = compare(event, least);
    if (order < 0) least = event, found = bit;
    if (order == 0) found |= bit;
  }
  return found;
}

void pop(u32 lanes) {
  for (; lanes; lanes &= lanes - 1) {
    Buffer& buffer = buffers[__builtin_ctz(lanes)];
    buffer.begin += path + path_of(buffer.first());
    if (buffer.empty()) buffer.begin = buffer.end = 0;
  }
}

// Counts events in program order, while each of the lanes `open` has one to compare with.
void merge(u32 open) {
  u32 lanes = lanes_with_events();
  while (lanes && !(open & ~lanes)) {
    const u32 together = lanes_at_earliest(lanes);
    account(together);
    pop(together);
    for (u32 rest = together; rest; rest &= rest - 1)
      if (buffers[__builtin_ctz(rest)].empty()) lanes &= ~(rest & -rest);
  }
}

u32 lanes_with_room() {
  u32 lanes = 0;
  for (u32 i = 0; i < simd_width; ++i) {
    Buffer& buffer = buffers[i];
    if (buffer.begin) {
      memmove(buffer.words, buffer.first(), (buffer.end - buffer.begin) * sizeof(u32));
      buffer.end -= buffer.begin;
      buffer.begin = 0;
    }
    lanes |= u32(buffer.end + most_event_words <= buffer_words) << i;
  }
  return lanes;
}

__attribute__((noinline)) MF_SWITCHING void pause(Fibre* fibre) {
  const u32 bit = 1u << fibre->lane;
  fibre->group->runnable &= ~bit;
  paused |= bit;
  advance(*fibre);
}

// Ends the launch: it does more than can be counted.
__attribute__((noinline)) MF_SWITCHING void give_up(Fibre* fibre) { fail(*fibre, too_much, 0); }

void note(u32 kind, u32 at, u32 level, const void* address, u64 bytes) {
  Fibre& fibre = self();
  Buffer& buffer = buffers[fibre.lane];
  if (++state.events > state.most_events) give_up(&fibre);
  while (buffer.end + most_event_words > buffer_words) pause(&fibre);
  Thread& thread = threads[fibre.index];
  const u32 last = thread.last = thread.base + 2 * level;
  thread.word(last) = at;
  const u32 count = lesser(last + 1, path_words);
  u32* event = buffer.words + buffer.end;
  event[head] = kind << 16 | count;
  event[place] = at;
  event[address_low] = u32(reinterpret_cast<uptr>(address));
  event[address_high] = u32(u64(reinterpret_cast<uptr>(address)) >> 32);
  event[length] = u32(bytes < ~0u ? bytes : ~0u);
  event[caller] = thread.base ? thread.word(thread.base - 1) : 0;
  for (u32 i = 0; i < count; ++i) event[path + i] = thread.words[i];
  buffer.end += path + count;
}

}  // namespace

void start_threadgroup() {
  for (Buffer& buffer : buffers) buffer.begin = buffer.end = 0;
  for (Thread& thread : threads) thread.base = 0;
  paused = 0;
}

// No lane of the group can run: counts what is certain, and lets paused lanes go on.
void drain(SimdGroup& group) {
  if (group.runnable) return;
  draining = group.fibre[0]->index / simd_width;
  merge(paused | group.waiting);
  if (!paused && group.waiting) return;
  if (!paused) return merge(0);
  u32 freed = paused & lanes_with_room();
  if (!freed) {  // lanes at one collective hold up those at another: count what there is
    merge(0);
    freed = paused & lanes_with_room();
  }
  paused &= ~freed;
  group.runnable |= freed;
}

}  // namespace mf::counters

extern "C" {

MF_EXPORT void mf_count_turn(mf::u32 level, mf::u32 place, mf::u32 again) {
  mf::counters::Thread& thread = mf::counters::threads[mf::self().index];
  const mf::u32 index = thread.base + 2 * level;
  mf::u32& turn = thread.word(index + 1);
  turn = again ? turn + 1 : 0;
  thread.word(index) = place;
}

// Around a call of one of the kernel's own functions.
MF_EXPORT void mf_count_call(mf::u32 level, mf::u32 place) {
  mf::counters::Thread& thread = mf::counters::threads[mf::self().index];
  thread.word(thread.base + 2 * level) = place;
  thread.base += 2 * level + 1;
}

MF_EXPORT void mf_count_return(mf::u32 level) {
  mf::counters::threads[mf::self().index].base -= 2 * level + 1;
}

MF_EXPORT void mf_count_access(const void* address, mf::u64 bytes, mf::u32 kind, mf::u32 place,
                               mf::u32 level) {
  using namespace mf::counters;
  if (reinterpret_cast<mf::uptr>(address) - state.block >= state.block_bytes || !bytes) return;
  note(kind, place, level, address, bytes);
}

MF_EXPORT void mf_count_wait(mf::u32 kind, mf::u32 place, mf::u32 level) {
  mf::counters::note(kind, place, level, nullptr, 0);
}

MF_EXPORT mf::counters::State* mf_counters_state() { return &mf::counters::state; }

// Runs `count` threadgroups of a launch on this thread; stops where `enough` events are reached.
// Gives the kind of failure, 0 for none.
MF_EXPORT mf::u32 mf_count_launch(mf::Launch* launch, const mf::u64* order, mf::u64 count,
                                  mf::u64 enough) {
  using namespace mf::counters;
  mf::Worker* worker = mf::worker_of(0);
  if (!worker || !worker->prepare(*launch)) return mf::no_memory;
  const mf::u64 least = blocks.count ? 2 : 1;  // two side by side tell what they share
  for (mf::u64 i = 0; i < count && (i < least || state.events < enough); ++i) {
    if (blocks.count) begin_threadgroup(order[i]);
    if (!worker->run_threadgroup(order[i])) return worker->failure.kind;
    if (blocks.count) end_threadgroup(worker->threads);
    ++state.threadgroups;
    state.threads += worker->threads;
    state.groups += worker->groups;
  }
  return 0;
}

}
