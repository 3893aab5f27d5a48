// The hardware that a kernel built for a GPU calls upon (target_gpu.h), on this machine.
#include "gpu.h"

// Of the C library that every Python process has loaded.
extern "C" float exp2f(float), log2f(float), sinf(float), cosf(float);

namespace mf::counters {

Blocks blocks;

namespace {

// Keys of one threadgroup or row of neighbours; emptied by a new stamp.
struct Set {
  static constexpr u32 size = 1 << 20;
  u64 key[size];
  u32 stamp[size], now, count;
  void clear() { ++now, count = 0; }
  // Whether it was not in there; when it is nearly full everything is new.
  bool add(u64 value) {
    if (count > size / 4 * 3) return true;
    u64 hash = value * 0x9e3779b97f4a7c15ull;
    u32 at = u32(hash >> 40) % size;
    for (; stamp[at] == now; at = (at + 1) % size)
      if (key[at] == value) return false;
    key[at] = value, stamp[at] = now, ++count;
    return true;
  }
};

Set in_step, own, near;
u64 recent[max_threads / simd_width][most_depth];  // lines that a SIMD-group used last
u64 follower = ~0ull;  // threadgroup that would go on with the row of neighbours
u32 place_in_row;
constexpr u32 most_arrays = 128;
u64 own_lines[most_arrays], new_sectors[most_arrays];

}  // namespace

void touch_lines(u32 array, u32 group, u64 path, u64 first, u64 last) {
  if (!blocks.reuse || array >= most_arrays) return;
  Reuse& reuse = blocks.reuse[array];
  for (u64 line = first; line < last; ++line) {
    ++reuse.touches;
    u64* lines = recent[group];
    u32 at = 0;
    while (at < most_depth && lines[at] != line + 1) ++at;
    for (u32 d = 0; d < depths; ++d) reuse.misses[d] += at >= 1u << d;
    for (u32 i = at < most_depth ? at : most_depth - 1; i; --i) lines[i] = lines[i - 1];
    lines[0] = line + 1;
    reuse.in_step += in_step.add(line ^ path << 20);
    own_lines[array] += own.add(line);
  }
}

void touch_sectors(u32 array, u64 first, u64 last) {
  if (!blocks.reuse || array >= most_arrays) return;
  blocks.reuse[array].sectors += last - first;
  for (u64 sector = first; sector < last; ++sector) new_sectors[array] += near.add(sector);
}

void begin_threadgroup(u64 index) {
  const bool goes_on = index && index == follower && place_in_row + 1 < neighbours;
  place_in_row = goes_on ? place_in_row + 1 : 0;
  follower = index + 1;
  if (!goes_on) near.clear(), memset(new_sectors, 0, sizeof new_sectors);
  own.clear(), memset(own_lines, 0, sizeof own_lines);
  in_step.clear();
  memset(recent, 0, sizeof recent);
}

void end_threadgroup(u32 threads) {
  const u32 count = blocks.count;
  for (u32 first = 0; first < threads; first += simd_width)
    for (u32 block = 0; block < count; ++block) {
      u32 most = 0;
      for (u32 t = first; t < threads && t < first + simd_width; ++t) {
        u32& lane = blocks.lanes[t * u64(count) + block];
        blocks.threads[block] += lane;
        most = lane > most ? lane : most;
        lane = 0;
      }
      blocks.groups[block] += most;
    }
  if (!blocks.reuse) return;
  for (u32 a = 0; a < 2 * state.arrays && a < most_arrays; ++a) {
    blocks.reuse[a].lines += own_lines[a];
    blocks.reuse[a].distinct[place_in_row] += new_sectors[a];
    ++blocks.reuse[a].rows[place_in_row];
  }
}

}  // namespace mf::counters

namespace {

using namespace mf;
using counters::threads;

// Where in the program the running lane waits, so that lanes at other places do not meet it.
Fibre& here() {
  Fibre& fibre = self();
  counters::Thread& thread = threads[fibre.index];
  const u32 count = lesser(thread.last + 1, path_words);
  for (u32 i = 0; i < count; ++i) fibre.path[i] = thread.words[i];
  fibre.depth = count - 1;
  return fibre;
}

}  // namespace

extern "C" {

MF_EXPORT void mf_count_block(mf::u32 block) {
  using mf::counters::blocks;
  ++blocks.lanes[mf::self().index * mf::u64(blocks.count) + block];
}

MF_EXPORT mf::counters::Blocks* mf_count_blocks() { return &mf::counters::blocks; }

MF_EXPORT mf::u32 mf_gpu_lane() { return self().lane; }
MF_EXPORT mf::u32 mf_gpu_index() { return self().index; }
MF_EXPORT mf::u32 mf_gpu_local(mf::u32 axis) { return self().worker->local[self().index][axis]; }
MF_EXPORT mf::u32 mf_gpu_group(mf::u32 axis) { return self().worker->position.group[axis]; }
MF_EXPORT mf::u32 mf_gpu_launch(mf::u32 number) {
  const Worker& worker = *self().worker;
  const mf::u32(&of)[3] = number < 3   ? worker.launch->grid
                          : number < 6 ? worker.launch->group
                          : number < 9 ? worker.launch->groups
                                       : worker.position.size;
  return of[number % 3];
}
MF_EXPORT mf::u8* mf_gpu_storage(mf::u32 id) {
  const WorkerHead& head = self().worker->head;
  return head.threadgroup_memory + head.storage_offset[id];
}
MF_EXPORT float mf_gpu_exp2(float x) { return exp2f(x); }
MF_EXPORT float mf_gpu_log2(float x) { return log2f(x); }
MF_EXPORT float mf_gpu_rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }
MF_EXPORT float mf_gpu_sin(float x) { return sinf(x); }
MF_EXPORT float mf_gpu_cos(float x) { return cosf(x); }
MF_EXPORT mf::u32 mf_gpu_active() { return self().group->lanes < 32 ? (1u << self().group->lanes) - 1 : ~0u; }

MF_EXPORT mf::u32 mf_gpu_shuffle(mf::u32 value, mf::u32 from) {
  here();
  mf::u32 active;
  const mf::u32* slots = simd_exchange(value, active);
  return from < simd_width && (active >> from & 1) ? slots[from] : value;
}

MF_EXPORT mf::u64 mf_gpu_multiply(float a0, float a1, float b0, float b1, float x, float y) {
  struct Four {
    float d[4];
  };
  here();
  mf::u32 active;
  const Four* slots = simd_exchange(Four{{a0, a1, b0, b1}}, active);
  const mf::u32 lane = self().lane;
  const auto row = [](mf::u32 l) { return (l >> 4 & 1) * 4 + (l >> 1 & 3); };
  const mf::u32 column = (lane >> 3 & 1) * 4 + (lane & 1) * 2;
  const auto lane_of = [](mf::u32 r, mf::u32 pair) {
    return (r >> 2) << 4 | (pair >> 1) << 3 | (r & 3) << 1 | (pair & 1);
  };
  for (mf::u32 k = 0; k < 8; ++k) {
    const float left = slots[lane_of(row(lane), k / 2)].d[k % 2];
    const Four& right = slots[lane_of(k, column / 2)];
    x += left * right.d[2], y += left * right.d[3];
  }
  const float sums[2] = {x, y};
  return __builtin_bit_cast(mf::u64, sums);
}
MF_EXPORT void mf_gpu_barrier() { mf_counted_threadgroup_wait(&here()); }
MF_EXPORT void mf_gpu_simd_barrier() { mf_counted_simd_wait(&here()); }

}
