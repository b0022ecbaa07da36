#include "cpu/dispatch.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/status.h"

namespace hc {

namespace scalar {
extern const KernelTable kKernels;
}
#if defined(HINTONCORE_X86)
namespace avx2 {
extern const KernelTable kKernels;
}
namespace avx512 {
extern const KernelTable kKernels;
}
#endif

namespace {

constexpr int kUnset = -1;
std::atomic<int> g_isa{kUnset};

Isa parse(const char* name, const char* source) {
    for (int i = 0; i < kIsaCount; ++i) {
        const Isa isa = static_cast<Isa>(i);
        if (std::strcmp(name, isa_name(isa)) != 0) continue;
        if (!isa_built(isa))
            throw Error(HC_UNSUPPORTED, std::string(source) + ": level '" + name + "' is not built into this library");
        if (!isa_detected(isa))
            throw Error(HC_UNSUPPORTED, std::string(source) + ": this processor cannot run level '" + name +
                                            "'; the highest it can is '" + isa_name(isa_best()) + "'");
        return isa;
    }
    throw Error(HC_INVALID_ARGUMENT,
                std::string(source) + ": expected one of 'scalar', 'avx2', 'avx512', got '" + name + "'");
}

}  // namespace

const char* isa_name(Isa isa) {
    static const char* const names[kIsaCount] = {"scalar", "avx2", "avx512"};
    return names[static_cast<int>(isa)];
}

bool isa_built(Isa isa) {
#if defined(HINTONCORE_X86)
    (void)isa;
    return true;
#else
    return isa == Isa::scalar;
#endif
}

bool isa_detected(Isa isa) {
#if defined(HINTONCORE_X86)
    // The builtins read cpuid and XCR0, so a level the operating system does not save counts as absent.
    switch (isa) {
        case Isa::scalar:
            return true;
        case Isa::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Isa::avx512:
            return isa_detected(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    return false;
#else
    return isa == Isa::scalar;
#endif
}

Isa isa_best() {
    for (int i = kIsaCount - 1; i > 0; --i)
        if (isa_built(static_cast<Isa>(i)) && isa_detected(static_cast<Isa>(i))) return static_cast<Isa>(i);
    return Isa::scalar;
}

Isa isa_used() {
    int isa = g_isa.load(std::memory_order_relaxed);
    if (isa == kUnset) {
        const char* name = std::getenv("HINTONCORE_ISA");
        isa = static_cast<int>(name && *name ? parse(name, "HINTONCORE_ISA") : isa_best());
        g_isa.store(isa, std::memory_order_relaxed);
    }
    return static_cast<Isa>(isa);
}

Isa isa_named(const char* name) { return parse(name, "isa"); }

void set_isa(const char* name) {
    g_isa.store(name ? static_cast<int>(parse(name, "isa")) : kUnset, std::memory_order_relaxed);
}

const KernelTable& kernels(Isa isa) {
#if defined(HINTONCORE_X86)
    if (isa == Isa::avx512) return avx512::kKernels;
    if (isa == Isa::avx2) return avx2::kKernels;
#endif
    (void)isa;
    return scalar::kKernels;
}

const KernelTable& kernels() { return kernels(isa_used()); }

CpuFeatures cpu_features() {
#if defined(HINTONCORE_X86)
    return {isa_detected(Isa::avx512) && __builtin_cpu_supports("avx512bf16") != 0,
            isa_detected(Isa::avx512) && __builtin_cpu_supports("avx512vnni") != 0};
#else
    return {false, false};
#endif
}

}  // namespace hc
