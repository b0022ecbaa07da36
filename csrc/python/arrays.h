// Checked access to NumPy arrays, and status -> Python exception. The Python layer converts dtypes and layouts; here an
// array must be exactly what the kernel reads, and errors name the argument, what was expected and what was given.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "hintoncore/hintoncore.h"

namespace hc_python {

namespace py = pybind11;

inline std::string shape_text(const std::vector<py::ssize_t>& shape) {
    std::string text = "(";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + (shape.size() == 1 ? ",)" : ")");
}

inline std::string describe(const py::array& a) {
    return std::string(py::str(a.dtype())) + " array of shape " +
           shape_text(std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()));
}

enum class Access { read, write };

// The data pointer of an array that must have dtype T, this shape, and C order.
template <class T>
T* data(const py::array& a, const char* name, const std::vector<py::ssize_t>& shape, Access access) {
    const py::dtype wanted = py::dtype::of<T>();
    bool same = a.ndim() == static_cast<py::ssize_t>(shape.size()) && a.dtype().equal(wanted);
    for (size_t i = 0; same && i < shape.size(); ++i) same = a.shape(static_cast<py::ssize_t>(i)) == shape[i];
    if (!same)
        throw py::value_error(std::string(name) + ": expected " + std::string(py::str(wanted)) + " array of shape " +
                              shape_text(shape) + ", got " + describe(a));
    if (!(a.flags() & py::array::c_style)) throw py::value_error(std::string(name) + ": expected a C-contiguous array");
    if (access == Access::write && !a.writeable())
        throw py::value_error(std::string(name) + ": is written in place, but the array given is read-only");
    return static_cast<T*>(const_cast<void*>(a.data()));
}

// The same of a float32 array that may be None, for which they give null.
inline const float* optional_input(const py::object& array, const char* name, const std::vector<py::ssize_t>& shape) {
    return array.is_none() ? nullptr : data<float>(array.cast<py::array>(), name, shape, Access::read);
}

inline float* optional_output(const py::object& array, const char* name, const std::vector<py::ssize_t>& shape) {
    return array.is_none() ? nullptr : data<float>(array.cast<py::array>(), name, shape, Access::write);
}

// A two-dimensional array's extent, whatever it is.
inline py::ssize_t extent(const py::array& a, const char* name, int axis, int ndim) {
    if (a.ndim() != ndim)
        throw py::value_error(std::string(name) + ": expected " + std::to_string(ndim) + " dimensions, got " +
                              describe(a));
    return a.shape(axis);
}

// Whether two C-contiguous arrays have a byte in common.
inline bool overlap(const py::array& a, const py::array& b) {
    const char *a0 = static_cast<const char*>(a.data()), *b0 = static_cast<const char*>(b.data());
    return a0 < b0 + b.nbytes() && b0 < a0 + a.nbytes();
}

[[noreturn]] void throw_status(hc_status status);

inline void check(hc_status status) {
    if (status != HC_OK) throw_status(status);
}

// Runs an hc_* call without the GIL.
template <class F>
void run(F&& f) {
    hc_status status;
    {
        py::gil_scoped_release release;
        status = f();
    }
    check(status);
}

}  // namespace hc_python
