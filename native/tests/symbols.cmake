# Fails if a library needs a newer system than the oldest one that is supported (RHEL 9 and Ubuntu
# 22.04: glibc 2.34), or a C++ library that the system may not have.
#   cmake -DOBJDUMP=... -DLIBRARY=... -P symbols.cmake
execute_process(COMMAND ${OBJDUMP} -T ${LIBRARY} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${OBJDUMP} cannot read ${LIBRARY}")
endif()
string(REGEX MATCHALL "[^\n]*\\*UND\\*[^\n]*" needed "${symbols}")
if(needed STREQUAL "")
  message(FATAL_ERROR "${LIBRARY} needs no symbol at all: it was not read")
endif()
foreach(symbol IN LISTS needed)
  if(symbol MATCHES "GLIBC_([0-9.]+)" AND CMAKE_MATCH_1 VERSION_GREATER 2.34)
    message(SEND_ERROR "newer than glibc 2.34: ${symbol}")
  elseif(symbol MATCHES "GLIBCXX_|CXXABI_")
    message(SEND_ERROR "not linked statically: ${symbol}")
  endif()
endforeach()
