# HINTONCORE_VERSION, from the one place that states it: pyproject.toml.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../pyproject.toml" _hintoncore_version REGEX "^version = \"[0-9.]+\"" LIMIT_COUNT 1)
string(REGEX REPLACE "^version = \"([0-9.]+)\".*" "\\1" HINTONCORE_VERSION "${_hintoncore_version}")
if(NOT HINTONCORE_VERSION MATCHES "^[0-9]+\\.[0-9]+\\.[0-9]+$")
  message(FATAL_ERROR "pyproject.toml states no version of the form 1.2.3")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/../pyproject.toml")
