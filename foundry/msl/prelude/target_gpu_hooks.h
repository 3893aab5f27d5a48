// Of the calls that the prelude makes in a sanitised build, those that a GPU build keeps: a compiler's
// text does not tell an atomic operation's pointer as plainly.
#pragma once

extern "C" {
void mf_note_atomic(const volatile void* address, unsigned bytes);
void mf_note_atomic_load(const volatile void* address, unsigned bytes);
void mf_note_atomic_store(const volatile void* address, unsigned bytes);
}
inline void mf_note_barrier(unsigned) {}
inline void mf_note_simd_barrier() {}
inline void mf_note_fence() {}
inline void mf_note_tolerant(unsigned) {}
inline void mf_note_lane(unsigned, unsigned) {}
inline void mf_note_lane_number(unsigned, unsigned) {}
inline void mf_note_whole(unsigned) {}
inline void mf_note_component(int, unsigned) {}
#define MF_NOTE(call) call
