/**
 * The device that a model runs on: its options, its description, its memory, and the exception that
 * its kernels throw.
 */
package dev.precis.device;
