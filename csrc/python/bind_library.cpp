#include "arrays.h"
#include "bind.h"

namespace hc_python {

void bind_library(py::module_& m) {
    m.def("version", [] { return std::string(hc_version()); });
    m.def("set_num_threads", [](int n) { check(hc_set_num_threads(n)); }, py::arg("threads"));
    m.def("get_num_threads", [] {
        int n = 0;
        check(hc_get_num_threads(&n));
        return n;
    });
    m.def(
        "set_isa",
        [](const py::object& name) {
            if (name.is_none())
                check(hc_set_isa(nullptr));
            else
                check(hc_set_isa(name.cast<std::string>().c_str()));
        },
        py::arg("name"));
    m.def("get_isa", [] {
        const char* name = nullptr;
        check(hc_get_isa(&name));
        return std::string(name);
    });
    m.def("isa_built", [](const std::string& name) { return hc_isa_built(name.c_str()) != 0; }, py::arg("name"));
    m.def("isa_detected", [](const std::string& name) { return hc_isa_detected(name.c_str()) != 0; }, py::arg("name"));
    m.def("cpu_feature", [](const std::string& name) { return hc_cpu_feature(name.c_str()) != 0; }, py::arg("name"));
    m.def("kernel_names", [] {
        py::list names;
#define HC_KERNEL(name, Args) names.append(#name);
#include "cpu/kernels.inc"
#undef HC_KERNEL
        return names;
    });
}

}  // namespace hc_python
