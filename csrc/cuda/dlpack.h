// Looks into a DLPack capsule ("dltensor", the unversioned form that every producer offers) without taking it over: the
// capsule keeps its owner, and its memory lives at least as long as the Python object it came from.
// The structs are DLPack's binary interface, https://dmlc.github.io/dlpack/latest/c_api.html.
#pragma once

#include <pybind11/pybind11.h>

#include <stdint.h>

#include <string>
#include <vector>

namespace hc {
namespace cuda {

struct DLTensor {
    void* data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    struct {
        uint8_t code;
        uint8_t bits;
        uint16_t lanes;
    } dtype;
    int64_t* shape;
    int64_t* strides;  // in elements; null: row-major
    uint64_t byte_offset;
};

constexpr int32_t kDLCUDA = 2;
enum class Kind : uint8_t { kInt = 0, kUInt = 1, kFloat = 2 };

// Device pointer of a row-major array of the given shape on a CUDA device. All arrays of a call share `device`, -1 at
// first. ValueError naming the argument otherwise.
inline void* device_pointer(const pybind11::capsule& capsule, const char* name, const std::vector<int64_t>& shape,
                            Kind kind, int bits, int* device) {
    const auto refuse = [&](const std::string& expected, const std::string& given) {
        throw pybind11::value_error(std::string(name) + ": expected " + expected + ", got " + given);
    };
    if (capsule.name() == nullptr || std::string(capsule.name()) != "dltensor")
        refuse("an unused DLPack capsule", capsule.name() ? capsule.name() : "an unnamed one");
    const DLTensor& t = *static_cast<const DLTensor*>(capsule.get_pointer());
    if (t.device_type != kDLCUDA)
        refuse("an array on a CUDA device", "DLPack device type " + std::to_string(t.device_type));
    if (*device >= 0 && t.device_id != *device)
        refuse("CUDA device " + std::to_string(*device), "device " + std::to_string(t.device_id));
    *device = t.device_id;
    // Packed words come as signed or unsigned integers: few libraries compute with uint64.
    const bool right_kind = t.dtype.code == static_cast<uint8_t>(kind) ||
                            (kind == Kind::kUInt && t.dtype.code == static_cast<uint8_t>(Kind::kInt));
    if (!right_kind || t.dtype.bits != bits || t.dtype.lanes != 1)
        refuse(std::string(kind == Kind::kFloat ? "float" : "uint") + std::to_string(bits),
               "DLPack type " + std::to_string(t.dtype.code) + " of " + std::to_string(t.dtype.bits) + " bits");
    const auto text = [](const int64_t* extents, size_t n) {
        std::string s = "(";
        for (size_t i = 0; i < n; ++i) s += (i ? ", " : "") + std::to_string(extents[i]);
        return s + (n == 1 ? ",)" : ")");
    };
    bool same = t.ndim == static_cast<int32_t>(shape.size());
    for (size_t i = 0; same && i < shape.size(); ++i) same = t.shape[i] == shape[i];
    if (!same)
        refuse("shape " + text(shape.data(), shape.size()), "shape " + text(t.shape, static_cast<size_t>(t.ndim)));
    int64_t step = 1;
    for (size_t i = shape.size(); t.strides != nullptr && i-- > 0; step *= shape[i])
        if (shape[i] != 1 && t.strides[i] != step)
            refuse("a C-contiguous array", "strides " + text(t.strides, shape.size()));
    void* const p = static_cast<char*>(t.data) + t.byte_offset;
    if (reinterpret_cast<uintptr_t>(p) % (static_cast<uintptr_t>(bits) / 8) != 0)
        refuse("an address aligned to its elements", "a misaligned one");
    return p;
}

}  // namespace cuda
}  // namespace hc
