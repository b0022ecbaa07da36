# find_package(hintoncore) gives hintoncore::hintoncore: the shared library and its C header.
include("${CMAKE_CURRENT_LIST_DIR}/hintoncoreTargets.cmake")
