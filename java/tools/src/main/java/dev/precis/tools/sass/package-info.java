/**
 * Reads the machine code of the CUDA kernels: the table {@code cuda-kernels/sass.tsv} and the rules
 * that it has to keep. {@code scripts/sass} runs it from source, so it uses the JDK alone.
 */
package dev.precis.tools.sass;
