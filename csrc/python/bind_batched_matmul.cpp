#include <algorithm>
#include <utility>

#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

constexpr py::ssize_t kFloat = sizeof(float);

// The matrices of an array [..., rows, columns] of float32, of which one of the last two axes has unit stride.
struct Matrices {
    py::array array;
    const char* name;
    py::ssize_t rows, columns, batch_dims;
    bool transposed;  // the rows have unit stride
    int64_t ld;

    Matrices(const py::array& given, const char* called) : array(given), name(called) {
        if (array.ndim() < 2)
            throw py::value_error(std::string(name) + ": expected 2 dimensions or more, got " + describe(array));
        batch_dims = array.ndim() - 2;
        rows = array.shape(batch_dims);
        columns = array.shape(batch_dims + 1);
        const py::ssize_t row_stride = array.strides(batch_dims), column_stride = array.strides(batch_dims + 1);
        transposed = columns > 1 && column_stride != kFloat;
        const bool fits = !transposed || rows == 1 || row_stride == kFloat;
        if (!array.dtype().equal(py::dtype::of<float>()) || !fits)
            throw py::value_error(std::string(name) +
                                  ": expected float32 with unit stride along rows or columns, got " + describe(array));
        ld = (transposed ? column_stride : row_stride) / kFloat;
    }

    float* data() const { return static_cast<float*>(const_cast<void*>(array.data())); }

    // Extent and stride of axis d of `dims` batch axes, to which this array's are aligned from the right.
    py::ssize_t size(py::ssize_t d, py::ssize_t dims) const {
        return d < dims - batch_dims ? 1 : array.shape(d - (dims - batch_dims));
    }
    int64_t stride(py::ssize_t d, py::ssize_t dims) const {
        return size(d, dims) == 1 ? 0 : array.strides(d - (dims - batch_dims)) / kFloat;
    }
};

py::array batched_matmul(const py::array& a_given, const py::array& b_given, bool trans_a, bool trans_b,
                         const py::object& out) {
    Matrices a(a_given, "a"), b(b_given, "b");
    const py::ssize_t m = trans_a ? a.columns : a.rows, k = trans_a ? a.rows : a.columns;
    const py::ssize_t n = trans_b ? b.rows : b.columns;
    if (k != (trans_b ? b.columns : b.rows))
        throw py::value_error(std::string("b: expected (..., ") + (trans_b ? "N, K)" : "K, N)") +
                              " with K = " + std::to_string(k) + ", which a has, got " + describe(b.array));
    const py::ssize_t dims = std::max(a.batch_dims, b.batch_dims);
    std::vector<py::ssize_t> shape;
    for (py::ssize_t d = 0; d < dims; ++d) {
        const py::ssize_t from_a = a.size(d, dims), from_b = b.size(d, dims);
        if (from_a != from_b && from_a != 1 && from_b != 1)
            throw py::value_error("b: leading axes of " + describe(b.array) + " do not broadcast with those of a, " +
                                  describe(a.array));
        shape.push_back(std::max(from_a, from_b));
    }
    std::vector<int64_t> sizes(shape.begin(), shape.end()), strides_a, strides_b, strides_c;
    shape.insert(shape.end(), {m, n});
    const Matrices c(out.is_none() ? py::array(py::array_t<float>(shape)) : out.cast<py::array>(), "out");
    if (std::vector<py::ssize_t>(c.array.shape(), c.array.shape() + c.array.ndim()) != shape)
        throw py::value_error("out: expected float32 array of shape " + shape_text(shape) + ", got " +
                              describe(c.array));
    if (!c.array.writeable()) throw py::value_error("out: is written in place, but the array given is read-only");
    for (py::ssize_t d = 0; d < dims; ++d) {
        strides_a.push_back(a.stride(d, dims));
        strides_b.push_back(b.stride(d, dims));
        strides_c.push_back(c.stride(d, dims));
    }
    const bool transposes_a = trans_a != a.transposed, transposes_b = trans_b != b.transposed;
    hc_batched_matmul_args p{};
    p.struct_size = sizeof p;
    p.m = m;
    p.n = n;
    p.k = k;
    p.batch_dims = static_cast<int>(dims);
    p.batch_shape = sizes.data();
    p.a = a.data();
    p.a_strides = strides_a.data();
    p.lda = a.ld;
    p.trans_a = transposes_a;
    p.b = b.data();
    p.b_strides = strides_b.data();
    p.ldb = b.ld;
    p.trans_b = transposes_b;
    p.out = c.data();
    p.out_strides = strides_c.data();
    p.ld_out = c.ld;
    if (c.transposed) {  // C^T = B^T A^T
        std::swap(p.m, p.n);
        std::swap(p.a, p.b);
        std::swap(p.a_strides, p.b_strides);
        std::swap(p.lda, p.ldb);
        p.trans_a = !transposes_b;
        p.trans_b = !transposes_a;
    }
    run([&] { return hc_batched_matmul(&p); });
    return c.array;
}

}  // namespace

void bind_batched_matmul(py::module_& m) {
    m.def("batched_matmul", &batched_matmul, py::arg("a"), py::arg("b"), py::arg("trans_a"), py::arg("trans_b"),
          py::arg("out"));
}

}  // namespace hc_python
