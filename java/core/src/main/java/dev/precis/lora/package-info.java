/**
 * LoRA adapters (Hu et al. 2021): the choice of layers, the parameters that are trained, PEFT
 * folders, and the merge into the base model.
 */
package dev.precis.lora;
