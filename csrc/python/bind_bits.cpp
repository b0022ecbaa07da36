#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_bits(py::module_& m) {
    m.def(
        "bits_pack",
        [](const py::array& x) {
            const int64_t batch = extent(x, "x", 0, 2), units = extent(x, "x", 1, 2);
            const float* in = data<float>(x, "x", {batch, units}, Access::read);
            py::array_t<uint64_t> bits(
                {static_cast<py::ssize_t>(units), static_cast<py::ssize_t>(hc_bit_words(batch))});
            uint64_t* out = bits.mutable_data();
            run([&] { return hc_bits_pack(in, batch, units, out, 0); });
            return bits;
        },
        py::arg("x"));
    m.def(
        "bits_unpack",
        [](const py::array& words, int64_t batch) {
            const int64_t units = extent(words, "words", 0, 2);
            const uint64_t* in = data<uint64_t>(words, "words", {units, hc_bit_words(batch)}, Access::read);
            py::array_t<float> x({static_cast<py::ssize_t>(batch), static_cast<py::ssize_t>(units)});
            float* out = x.mutable_data();
            run([&] { return hc_bits_unpack(in, batch, units, out, 0); });
            return x;
        },
        py::arg("words"), py::arg("batch"));
    m.def(
        "bits_transpose",
        [](const py::array& words, int64_t batch) {
            const int64_t units = extent(words, "words", 0, 2);
            const uint64_t* in = data<uint64_t>(words, "words", {units, hc_bit_words(batch)}, Access::read);
            py::array_t<uint64_t> bits(
                {static_cast<py::ssize_t>(batch), static_cast<py::ssize_t>(hc_bit_words(units))});
            uint64_t* out = bits.mutable_data();
            run([&] { return hc_bits_transpose(in, batch, units, out, 0); });
            return bits;
        },
        py::arg("words"), py::arg("batch"));
}

}  // namespace hc_python
