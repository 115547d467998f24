/** Learning from which of two answers people prefer: DPO and its family. */
package dev.precis.alignment.preference;
