#include "arrays.h"
#include "bind.h"

namespace hc_python {
namespace {

// activation(op(a) op(b) + bias). The names are the caller's, for messages: a, b for matmul, x, w for linear.
struct Names {
    const char *a, *b, *bias;
};

// Checked here too, under the caller's names. All arrays are contiguous by now.
void require_apart(const py::array& out, const py::array& in, const char* name) {
    const char *first = static_cast<const char*>(out.data()), *second = static_cast<const char*>(in.data());
    if (first < second + in.nbytes() && second < first + out.nbytes())
        throw py::value_error(std::string("out: must not share memory with ") + name);
}

py::array product(const py::array& a, const py::array& b, bool trans_a, bool trans_b, const py::object& bias,
                  int activation, const py::object& out, const Names& names) {
    hc_matmul_args p{};
    p.struct_size = sizeof p;
    const py::ssize_t a_rows = extent(a, names.a, 0, 2), a_columns = extent(a, names.a, 1, 2);
    const py::ssize_t b_rows = extent(b, names.b, 0, 2), b_columns = extent(b, names.b, 1, 2);
    const py::ssize_t k = trans_a ? a_rows : a_columns;
    if (k != (trans_b ? b_columns : b_rows))
        throw py::value_error(std::string(names.b) + ": expected " + (trans_b ? "(N, K)" : "(K, N)") +
                              " with K = " + std::to_string(k) + ", which " + names.a + " of shape " +
                              shape_text({a_rows, a_columns}) + " has, got shape " + shape_text({b_rows, b_columns}));
    p.m = trans_a ? a_columns : a_rows;
    p.n = trans_b ? b_rows : b_columns;
    p.k = k;
    p.a = data<float>(a, names.a, {a_rows, a_columns}, Access::read);
    p.lda = a_columns;
    p.trans_a = trans_a;
    p.b = data<float>(b, names.b, {b_rows, b_columns}, Access::read);
    p.ldb = b_columns;
    p.trans_b = trans_b;
    p.alpha = 1.0f;
    if (!bias.is_none())
        p.bias = data<float>(bias.cast<py::array>(), names.bias, {static_cast<py::ssize_t>(p.n)}, Access::read);
    p.activation = activation;
    const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(p.m), static_cast<py::ssize_t>(p.n)};
    const py::array c = out.is_none() ? py::array(py::array_t<float>(shape)) : out.cast<py::array>();
    p.out = data<float>(c, "out", shape, Access::write);
    p.ld_out = p.n;
    require_apart(c, a, names.a);
    require_apart(c, b, names.b);
    if (!bias.is_none()) require_apart(c, bias.cast<py::array>(), names.bias);
    run([&] { return hc_matmul(&p); });
    return c;
}

}  // namespace

void bind_matmul(py::module_& m) {
    m.def(
        "matmul",
        [](const py::array& a, const py::array& b, bool trans_a, bool trans_b, const py::object& out) {
            return product(a, b, trans_a, trans_b, py::none(), HC_ACTIVATION_NONE, out, {"a", "b", ""});
        },
        py::arg("a"), py::arg("b"), py::arg("trans_a"), py::arg("trans_b"), py::arg("out"));
    m.def(
        "linear",
        [](const py::array& x, const py::array& w, const py::object& b, int activation, const py::object& out) {
            return product(x, w, false, false, b, activation, out, {"x", "w", "b"});
        },
        py::arg("x"), py::arg("w"), py::arg("b"), py::arg("activation"), py::arg("out"));
}

}  // namespace hc_python
