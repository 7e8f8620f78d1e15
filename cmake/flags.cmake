# Warnings, hardening and sanitizers: one interface target that everything links.
option(PIT_WERROR "treat warnings as errors" ON)
set(PIT_SANITIZE "" CACHE STRING "address,undefined or thread; empty: none")

add_library(pit_flags INTERFACE)
target_compile_definitions(pit_flags INTERFACE _GNU_SOURCE)
target_compile_options(pit_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wformat=2 -Wvla -Wundef -Wwrite-strings -Wcast-qual
  -Wimplicit-fallthrough -fno-common -fstack-protector-strong
  -fno-omit-frame-pointer $<$<BOOL:${PIT_WERROR}>:-Werror>)
if(PIT_SANITIZE)
  target_compile_options(pit_flags INTERFACE -fsanitize=${PIT_SANITIZE}
    -fno-sanitize-recover=all)
  target_link_options(pit_flags INTERFACE -fsanitize=${PIT_SANITIZE})
else()
  target_compile_options(pit_flags INTERFACE -fstack-clash-protection
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>)
  target_link_options(pit_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# assert() stays on in every build: style says so.
foreach(config RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${config} "${CMAKE_C_FLAGS_${config}}")
endforeach()
