// _cuda: the extension module. Arrays come as DLPack capsules, streams as integers; see python/hintoncore/cuda.py.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "cuda/bits.h"
#include "cuda/device.h"
#include "cuda/dlpack.h"
#include "cuda/error.h"
#include "cuda/gibbs.h"

namespace py = pybind11;
using hc::cuda::device_pointer;
using hc::cuda::Kind;

namespace {

void* as_stream(uint64_t stream) { return reinterpret_cast<void*>(static_cast<uintptr_t>(stream)); }

int64_t words_of(int64_t batch) { return (batch + 63) / 64; }

void require_positive(const char* name, int64_t n) {
    if (n < 1) throw py::value_error(std::string(name) + ": expected at least 1, got " + std::to_string(n));
}

py::dict status() {
    const hc::cuda::Status s = hc::cuda::status();
    py::list devices;
    for (const hc::cuda::DeviceInfo& d : s.devices) {
        py::dict entry;
        entry["name"] = d.name;
        entry["compute_capability"] = std::to_string(d.major) + "." + std::to_string(d.minor);
        entry["multiprocessors"] = d.multiprocessors;
        entry["memory_bytes"] = d.memory_bytes;
        devices.append(entry);
    }
    py::dict all;
    all["built"] = true;
    all["available"] = s.available;
    all["reason"] = s.reason;
    all["devices"] = devices;
    all["driver_version"] = s.driver_version;
    all["runtime_version"] = s.runtime_version;
    return all;
}

void gibbs_step(const py::capsule& in, const py::capsule& w, const py::capsule& bias, const py::capsule& out,
                const py::object& probs, int64_t batch, int64_t n_in, int64_t n_out, bool transpose, float temperature,
                uint64_t seed, uint64_t offset, int64_t first_sample, uint64_t stream) {
    require_positive("batch", batch);
    require_positive("n_in", n_in);
    require_positive("n_out", n_out);
    if (!(temperature > 0.0f)) throw py::value_error("temperature: expected > 0, got " + std::to_string(temperature));
    const int64_t rows = transpose ? n_out : n_in, columns = transpose ? n_in : n_out;
    int device = -1;
    hc::cuda::GibbsArgs a = {};
    a.in = static_cast<const uint64_t*>(device_pointer(in, "words", {n_in, words_of(batch)}, Kind::kUInt, 64, &device));
    a.w = static_cast<const float*>(device_pointer(w, "w", {rows, columns}, Kind::kFloat, 32, &device));
    a.stride_in = transpose ? 1 : columns;
    a.stride_out = transpose ? columns : 1;
    a.bias = static_cast<const float*>(device_pointer(bias, "b", {n_out}, Kind::kFloat, 32, &device));
    a.out = static_cast<uint64_t*>(device_pointer(out, "out", {n_out, words_of(batch)}, Kind::kUInt, 64, &device));
    if (!probs.is_none())
        a.probs = static_cast<float*>(
            device_pointer(probs.cast<py::capsule>(), "probs", {batch, n_out}, Kind::kFloat, 32, &device));
    a.batch = batch;
    a.n_in = n_in;
    a.n_out = n_out;
    a.temperature = temperature;
    a.seed = seed;
    a.offset = offset;
    a.first_sample = first_sample;
    const py::gil_scoped_release release;
    const hc::cuda::DeviceGuard guard(device);
    hc::cuda::gibbs_step(a, as_stream(stream));
}

void pack_bits(const py::capsule& dense, const py::capsule& words, int64_t batch, int64_t units, uint64_t stream) {
    require_positive("batch", batch);
    require_positive("units", units);
    int device = -1;
    const void* const from = device_pointer(dense, "dense", {batch, units}, Kind::kFloat, 32, &device);
    void* const to = device_pointer(words, "words", {units, words_of(batch)}, Kind::kUInt, 64, &device);
    const py::gil_scoped_release release;
    const hc::cuda::DeviceGuard guard(device);
    hc::cuda::pack_bits(static_cast<const float*>(from), static_cast<uint64_t*>(to), batch, units, as_stream(stream));
}

void unpack_bits(const py::capsule& words, const py::capsule& dense, int64_t batch, int64_t units, uint64_t stream) {
    require_positive("batch", batch);
    require_positive("units", units);
    int device = -1;
    const void* const from = device_pointer(words, "words", {units, words_of(batch)}, Kind::kUInt, 64, &device);
    void* const to = device_pointer(dense, "dense", {batch, units}, Kind::kFloat, 32, &device);
    const py::gil_scoped_release release;
    const hc::cuda::DeviceGuard guard(device);
    hc::cuda::unpack_bits(static_cast<const uint64_t*>(from), static_cast<float*>(to), batch, units, as_stream(stream));
}

}  // namespace

PYBIND11_MODULE(_cuda, m, py::mod_gil_not_used()) {
    m.doc() = "HintonCore's CUDA kernels. Private: use hintoncore.cuda.";
    py::register_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const hc::cuda::Error& e) {
            const py::object error = py::module_::import("hintoncore._errors").attr("HintonCoreError");
            PyErr_SetString(error.ptr(), e.what());
        }
    });
    m.def("status", &status);
    m.def("gibbs_step", &gibbs_step, py::arg("words"), py::arg("w"), py::arg("b"), py::arg("out"), py::arg("probs"),
          py::kw_only(), py::arg("batch"), py::arg("n_in"), py::arg("n_out"), py::arg("transpose"),
          py::arg("temperature"), py::arg("seed"), py::arg("offset"), py::arg("first_sample"), py::arg("stream"));
    m.def("pack_bits", &pack_bits, py::arg("dense"), py::arg("words"), py::kw_only(), py::arg("batch"),
          py::arg("units"), py::arg("stream"));
    m.def("unpack_bits", &unpack_bits, py::arg("words"), py::arg("dense"), py::kw_only(), py::arg("batch"),
          py::arg("units"), py::arg("stream"));
}
