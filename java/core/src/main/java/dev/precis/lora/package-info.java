/**
 * Parameters that are trained beside a frozen model: LoRA adapters (Hu et al. 2021), IA3's vectors
 * (Liu et al. 2022) and soft prompts (Lester et al. 2021); the choice of layers, PEFT folders, and
 * the merge into the base model.
 */
package dev.precis.lora;
