# Include after pybind11 was found. Decides whether the optional CUDA extension is built:
#   HINTONCORE_CUDA=AUTO  where nvcc is found and works (default)
#   HINTONCORE_CUDA=ON    or configuring fails
#   HINTONCORE_CUDA=OFF   never; nvcc is not even looked for
# HINTONCORE_CUDA_ENABLED holds the outcome. No driver and no GPU are needed to build.
set(HINTONCORE_CUDA AUTO CACHE STRING "Build the CUDA extension: AUTO, ON or OFF")
set_property(CACHE HINTONCORE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(HINTONCORE_CUDA_ENABLED FALSE)

if(NOT HINTONCORE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "HINTONCORE_CUDA is AUTO, ON or OFF, not '${HINTONCORE_CUDA}'")
endif()

if(NOT HINTONCORE_CUDA STREQUAL "OFF")
  # Code for every 8.x GPU, code for 9.0, and PTX from which drivers compile for whatever came later. Not "native", which
  # fails on machines without a GPU.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90")
  endif()
  # Static, so that the extension imports on machines without CUDA and beside any version another package brings.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(HINTONCORE_CUDA_ENABLED TRUE)
  elseif(HINTONCORE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "HINTONCORE_CUDA=ON, and no working CUDA compiler was found. Put nvcc on PATH, or name it in "
                        "CMAKE_CUDA_COMPILER or CUDACXX.")
  endif()
endif()

if(HINTONCORE_CUDA_ENABLED)
  message(STATUS "HintonCore: CUDA ${CMAKE_CUDA_COMPILER_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")
  add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/../csrc/cuda csrc/cuda)
else()
  message(STATUS "HintonCore: without CUDA (HINTONCORE_CUDA=${HINTONCORE_CUDA})")
endif()
