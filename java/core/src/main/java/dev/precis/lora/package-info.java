/**
 * Low-rank adapters (LoRA, Hu et al. 2021): their configuration, the trained weights and merging
 * them into the base model. Folders have PEFT's format.
 */
package dev.precis.lora;
