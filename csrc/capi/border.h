// The C border: exceptions become status codes and a message, and arguments are checked by name.
#pragma once

#include <cmath>
#include <cstring>
#include <new>
#include <string>

#include "common/status.h"

namespace hc {

void set_last_error(const char* message);

// Runs f and translates whatever it throws.
template <class F>
hc_status at_border(F&& f) {
    try {
        f();
        return HC_OK;
    } catch (const Error& e) {
        set_last_error(e.what());
        return e.status;
    } catch (const std::bad_alloc&) {
        set_last_error("out of memory");
        return HC_OUT_OF_MEMORY;
    } catch (const std::exception& e) {
        set_last_error(e.what());
        return HC_INTERNAL;
    } catch (...) {
        set_last_error("unknown error");
        return HC_INTERNAL;
    }
}

inline void require(bool ok, const char* message) {
    if (!ok) invalid(message);
}

inline void require_pointer(const void* p, const char* name) {
    if (!p) invalid(std::string(name) + ": must not be NULL");
}

// Sizes are positive and below 2^31, so that products of two fit in int64 with room to spare.
inline void require_size(int64_t n, const char* name) {
    if (n < 1 || n > INT32_MAX)
        invalid(std::string(name) + ": expected a size in 1..2147483647, got " + std::to_string(n));
}

// Elements of an array that is to be addressed or allocated.
inline void require_elements(int64_t rows, int64_t columns, const char* name) {
    if (columns && rows > (int64_t{1} << 46) / columns)
        invalid(std::string(name) + ": " + std::to_string(rows) + " x " + std::to_string(columns) + " is too large");
}

inline void require_threads(int threads) {
    if (threads < 0) invalid("threads: expected 0 or more, got " + std::to_string(threads));
}

inline void require_activation(int activation) {
    if (activation < HC_ACTIVATION_NONE || activation > HC_ACTIVATION_TANH)
        invalid("activation: expected one of hc_activation, got " + std::to_string(activation));
}

// Two arrays, of which one is written while the other is read, share no memory. Absent arrays do not.
inline void require_apart(const float* x, int64_t x_floats, const char* x_name, const float* y, int64_t y_floats,
                          const char* y_name) {
    if (!x || !y) return;
    const auto x_at = reinterpret_cast<uintptr_t>(x), y_at = reinterpret_cast<uintptr_t>(y);
    if (x_at < y_at + static_cast<uintptr_t>(y_floats) * sizeof(float) &&
        y_at < x_at + static_cast<uintptr_t>(x_floats) * sizeof(float))
        invalid(std::string(x_name) + ": must not share memory with " + y_name);
}

// An array, absent when data is null.
struct Part {
    const float* data;
    int64_t floats;
    const char* name;
};

// Arrays that are written share no memory with one another or with what is read.
template <size_t kOutputs, size_t kInputs>
void require_all_apart(const Part (&outputs)[kOutputs], const Part (&inputs)[kInputs]) {
    for (const Part& out : outputs) {
        for (const Part& in : inputs) require_apart(out.data, out.floats, out.name, in.data, in.floats, in.name);
        for (const Part& other : outputs)
            if (&other != &out) require_apart(out.data, out.floats, out.name, other.data, other.floats, other.name);
    }
}

inline void require_finite(const float* x, int64_t n, const char* name) {
    for (int64_t i = 0; i < n; ++i)
        if (!std::isfinite(x[i])) invalid(std::string(name) + ": expected finite values, got NaN or infinity");
}

// A caller compiled against an older header passes a smaller struct: its missing fields read as zero.
template <class Args>
Args read_args(const Args* args) {
    require_pointer(args, "args");
    if (args->struct_size < sizeof(size_t) || args->struct_size > sizeof(Args))
        invalid("args.struct_size: expected at most " + std::to_string(sizeof(Args)) + ", got " +
                std::to_string(args->struct_size) + " (initialise it with sizeof the struct)");
    Args copy{};
    std::memcpy(&copy, args, args->struct_size);
    return copy;
}

}  // namespace hc
