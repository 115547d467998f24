package dev.precis.alignment.policy;

import dev.precis.random.SplitMix64;

/**
 * Seeds of everything random in a run. Each is a function of the run's seed, the salt, the step and
 * the position in it alone, so that a resumed run continues bitwise identically.
 */
final class PolicyRandom {
  private static final long ORDER = 0x6f72646572L;
  private static final long LIMIT = 0x6c696d6974L;
  private static final long DROPOUT = 0x64726f70L;

  private final long seed;
  private long salt;

  PolicyRandom(long seed) {
    this.seed = seed;
  }

  /** Changes all seeds from here on; 0 is a run that was never rolled back. */
  void salt(long salt) {
    this.salt = salt;
  }

  /** Returns the seed of the sampled tokens. */
  long sampling() {
    return salt == 0 ? seed : SplitMix64.mix(seed, salt);
  }

  /** Returns the generator of a step's maximum response lengths. */
  SplitMix64 limits(long step) {
    return new SplitMix64(SplitMix64.mix(seed, LIMIT, salt, step));
  }

  /**
   * Returns the order in which a PPO epoch trains on the prompts of a step.
   *
   * @param epoch from 0
   */
  int[] order(int prompts, long step, int epoch) {
    int[] order = new int[prompts];
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
    }
    new SplitMix64(SplitMix64.mix(seed, ORDER, salt, step, epoch)).shuffle(order);
    return order;
  }

  /**
   * Returns the seed of an optimizer step's dropout masks.
   *
   * @param at position of its first prompt in the epoch's order
   */
  long dropout(long step, int epoch, int at) {
    return SplitMix64.mix(seed, DROPOUT, salt, step, (long) epoch << 32 | at);
  }
}
