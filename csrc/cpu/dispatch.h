// Which ISA levels exist, which one is used, and its kernel table.
#pragma once

#include "kernels.h"

namespace hc {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2 };
constexpr int kIsaCount = 3;

const char* isa_name(Isa isa);
bool isa_built(Isa isa);     // compiled into this library
bool isa_detected(Isa isa);  // the processor and the operating system can run it
Isa isa_best();              // highest level built and detected

// The level in use: set_isa's, else HINTONCORE_ISA's, else the best one. Throws Error when HINTONCORE_ISA names a level
// that does not exist, is not built, or that this processor lacks.
Isa isa_used();
Isa isa_named(const char* name);  // throws Error when it does not exist, is not built, or this processor lacks it
void set_isa(const char* name);   // throws Error likewise; null: back to the environment's choice

const KernelTable& kernels();         // of the level in use
const KernelTable& kernels(Isa isa);  // of one level, which must be built and detected

// Features beyond the levels.
struct CpuFeatures {
    bool avx512_bf16, avx512_vnni;
};
CpuFeatures cpu_features();

}  // namespace hc
