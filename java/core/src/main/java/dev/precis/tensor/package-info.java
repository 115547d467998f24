/** Views of native memory: tensors, workspaces that hand them out, and ragged batches. */
package dev.precis.tensor;
