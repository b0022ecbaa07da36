// Errors inside the library: drivers throw Error, the C ABI turns it into a status code and a message.
#pragma once

#include <stdexcept>
#include <string>

#include "hintoncore/hintoncore.h"

namespace hc {

class Error : public std::runtime_error {
   public:
    Error(hc_status status, const std::string& message) : std::runtime_error(message), status(status) {}
    const hc_status status;
};

[[noreturn]] inline void invalid(const std::string& message) { throw Error(HC_INVALID_ARGUMENT, message); }

}  // namespace hc
