/**
 * The border to libprecis: finding the library, contexts, CUDA graphs and errors. {@code generated}
 * holds jextract's bindings of {@code precis.h}.
 */
package dev.precis.ffi;
