# Warnings, hardening, sanitizers: one interface target that everything links.
include(CheckCCompilerFlag)
include(CheckPIESupported)

option(PIT_WERROR "treat warnings as errors" ON)
option(PIT_COVERAGE "count which lines the tests reach" OFF)
option(PIT_FUZZ "build the fuzz targets with libFuzzer (clang only)" OFF)
set(PIT_SANITIZE "" CACHE STRING "address,undefined or thread; empty: none")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# assert() stays on in every build: it stands for programmer errors only.
foreach(config RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${config}
    "${CMAKE_C_FLAGS_${config}}")
endforeach()
set(CMAKE_C_FLAGS_DEBUG "-Og -g")

# Programs are position independent and linked with -pie.
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(pit_flags INTERFACE)
target_compile_definitions(pit_flags INTERFACE _GNU_SOURCE)
target_compile_options(pit_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wformat=2 -Wvla -Wundef -Wwrite-strings -Wcast-qual
  -Wimplicit-fallthrough -Wno-missing-field-initializers -fno-common -fstack-protector-strong
  $<$<BOOL:${PIT_WERROR}>:-Werror>)
target_link_options(pit_flags INTERFACE -Wl,-z,noexecstack -Wl,-z,relro,-z,now)

# Indirect branches land only where they may. Only that half of CET: a shadow
# stack would end the process at the first switch to a coroutine's own stack.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  check_c_compiler_flag(-fcf-protection=branch PIT_HAS_CF_PROTECTION)
  target_compile_options(pit_flags INTERFACE
    $<$<BOOL:${PIT_HAS_CF_PROTECTION}>:-fcf-protection=branch>)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
  check_c_compiler_flag(-mbranch-protection=bti PIT_HAS_BTI)
  target_compile_options(pit_flags INTERFACE
    $<$<BOOL:${PIT_HAS_BTI}>:-mbranch-protection=bti>)
endif()

if(PIT_SANITIZE)
  target_compile_options(pit_flags INTERFACE -fsanitize=${PIT_SANITIZE}
    -fno-sanitize-recover=all)
  target_link_options(pit_flags INTERFACE -fsanitize=${PIT_SANITIZE})
else()
  # Neither goes together with the sanitizers, which check the same and more.
  target_compile_options(pit_flags INTERFACE -fstack-clash-protection
    $<$<NOT:$<OR:$<CONFIG:Debug>,$<BOOL:${PIT_COVERAGE}>>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<OR:$<CONFIG:Debug>,$<BOOL:${PIT_COVERAGE}>>>:-D_FORTIFY_SOURCE=3>)
endif()

# A request goes through many small functions of several files: the program that
# answers it is optimized as a whole. The objects hold machine code too, and the
# tests link that: as a whole each of them would take as long as the program.
option(PIT_LTO "optimize pit-web as a whole (gcc)" OFF)
if(PIT_LTO AND NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(PIT_LTO OFF)
endif()
if(PIT_LTO)
  target_link_options(pit_flags INTERFACE
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:PIT_WHOLE_PROGRAM>>>:-fno-lto>)
endif()
# Its calls of libraries need no stub, since they are resolved at start, and it
# has no chain of frame pointers: whoever unwinds goes by the tables (perf record
# --call-graph dwarf).
if(NOT PIT_LTO)
  target_compile_options(pit_flags INTERFACE -fno-omit-frame-pointer)
endif()
function(pit_lto_objects target)
  if(PIT_LTO)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:C>:-flto;-ffat-lto-objects;-fno-plt>")
  endif()
endfunction()
function(pit_lto_program target)
  if(PIT_LTO)
    set_target_properties(${target} PROPERTIES PIT_WHOLE_PROGRAM ON)
    target_compile_options(${target} PRIVATE -flto -fno-plt)
    target_link_options(${target} PRIVATE -flto=auto)
  endif()
endfunction()

if(PIT_COVERAGE)
  target_compile_options(pit_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(pit_flags INTERFACE --coverage)
else()
  # The same bytes wherever the tree lies.
  target_compile_options(pit_flags INTERFACE
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
endif()

if(PIT_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PIT_FUZZ needs clang: cmake --preset fuzz")
  endif()
  target_compile_options(pit_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
