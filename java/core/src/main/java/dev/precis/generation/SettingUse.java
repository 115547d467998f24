package dev.precis.generation;

/** Receives the settings of a model's folder that were read. */
interface SettingUse {
  /**
   * Receives a setting.
   *
   * @param key its key
   * @param changes whether its value changes anything
   */
  void took(String key, boolean changes);
}
