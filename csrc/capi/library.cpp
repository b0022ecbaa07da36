#include <cstring>
#include <string>

#include "capi/border.h"
#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace hc {
namespace {
thread_local std::string t_last_error;
}

void set_last_error(const char* message) {
    try {
        t_last_error = message;
    } catch (...) {
        t_last_error.clear();  // out of memory while reporting: an empty message, still no exception
    }
}
}  // namespace hc

extern "C" {

const char* hc_version(void) { return HINTONCORE_VERSION; }

const char* hc_last_error(void) { return hc::t_last_error.c_str(); }

hc_status hc_set_num_threads(int threads) {
    return hc::at_border([&] { hc::set_num_threads(threads); });
}

hc_status hc_get_num_threads(int* threads) {
    return hc::at_border([&] {
        hc::require_pointer(threads, "threads");
        *threads = hc::max_threads();
    });
}

hc_status hc_set_isa(const char* name) {
    return hc::at_border([&] { hc::set_isa(name); });
}

hc_status hc_get_isa(const char** name) {
    return hc::at_border([&] {
        hc::require_pointer(name, "name");
        *name = hc::isa_name(hc::isa_used());
    });
}

int hc_isa_built(const char* name) {
    for (int i = 0; name && i < hc::kIsaCount; ++i)
        if (std::strcmp(name, hc::isa_name(static_cast<hc::Isa>(i))) == 0)
            return hc::isa_built(static_cast<hc::Isa>(i));
    return 0;
}

int hc_isa_detected(const char* name) {
    for (int i = 0; name && i < hc::kIsaCount; ++i)
        if (std::strcmp(name, hc::isa_name(static_cast<hc::Isa>(i))) == 0)
            return hc::isa_detected(static_cast<hc::Isa>(i));
    return 0;
}

int hc_cpu_feature(const char* name) {
    const hc::CpuFeatures features = hc::cpu_features();
    if (name && std::strcmp(name, "avx512_bf16") == 0) return features.avx512_bf16;
    if (name && std::strcmp(name, "avx512_vnni") == 0) return features.avx512_vnni;
    return 0;
}

}  // extern "C"
