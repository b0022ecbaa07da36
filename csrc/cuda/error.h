// The exception of the CUDA side; the binding turns it into hintoncore.HintonCoreError. Needs no CUDA header.
#pragma once

#include <stdexcept>
#include <string>

namespace hc {
namespace cuda {

class Error : public std::runtime_error {
   public:
    Error(const std::string& what, int code, const std::string& text)
        : std::runtime_error(what + ": CUDA error " + std::to_string(code) + " (" + text + ")"), code_(code) {}
    int code() const { return code_; }

   private:
    int code_;
};

}  // namespace cuda
}  // namespace hc
