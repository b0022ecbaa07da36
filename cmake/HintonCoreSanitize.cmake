# HINTONCORE_SANITIZE: what -fsanitize= takes, for everything but the CUDA extension (see the presets asan and tsan).
set(HINTONCORE_SANITIZE "" CACHE STRING "Sanitizers to build with, such as address,undefined or thread")
if(HINTONCORE_SANITIZE)
  add_compile_options(-fsanitize=${HINTONCORE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(HINTONCORE_SANITIZE MATCHES "address")
    # Following the scope of every unrolled temporary makes GCC compile the kernels for minutes.
    add_compile_options(-fno-sanitize-address-use-after-scope)
  endif()
  add_link_options(-fsanitize=${HINTONCORE_SANITIZE})
endif()
