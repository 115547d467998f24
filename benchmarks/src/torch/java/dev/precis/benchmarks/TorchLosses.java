package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.notOne;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.PpoLoss;
import java.lang.foreign.ValueLayout;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Losses over the vocabulary, and the advantages that one of them needs in libtorch. */
final class TorchLosses {
  private TorchLosses() {}

  static Call prepare(LossProblem problem) {
    return switch (problem) {
      case LossProblem.PpoLoss p -> ppoLoss(p);
      case LossProblem.Gae p -> gae(p);
      case LossProblem.LinearCrossEntropy _,
          LossProblem.LogProbability _,
          LossProblem.DistillationLoss _ ->
          throw notOne(problem);
    };
  }

  /**
   * Computes TRL's chain of operations on all logits in float32, and the backward that autograd
   * derives from it, without what autograd would compute twice.
   */
  private static Call ppoLoss(LossProblem.PpoLoss p) {
    PpoLoss.Coefficients c = p.coefficients();
    Tensor x = view(p.x());
    Tensor w = view(p.w());
    Tensor actions = view(p.actions()).to(ScalarType.Long).unsqueeze(1);
    Tensor weights = view(p.weights());
    Tensor old = view(p.oldLogProbabilities());
    Tensor advantages = view(p.advantages());
    Tensor values = view(p.values());
    Tensor oldValues = view(p.oldValues());
    Tensor returns = view(p.returns());
    Scalar half = new Scalar(0.5);
    Scalar bonus = new Scalar(c.entropyCoefficient());
    Scalar valueCoefficient = new Scalar(c.valueCoefficient());
    Scalar range = new Scalar(c.clipRangeValue());
    Scalar low = new Scalar(1.0 - c.clipRangeLow());
    Scalar high = new Scalar(1.0 + c.clipRangeHigh());
    ScalarOptional atLeast = new ScalarOptional(low);
    ScalarOptional atMost = new ScalarOptional(high);
    Tensor[] outputs = {
      view(p.logProbabilities()),
      view(p.entropies()),
      view(p.policyLosses()),
      view(p.valueLosses()),
      view(p.dx()),
      view(p.dvalues())
    };
    return new Call() {
      private Tensor[] results = {};

      @Override
      public void run() {
        try (var _ = new PointerScope()) {
          Tensor all = torch.log_softmax(torch.linear(x, w).to(ScalarType.Float), -1);
          Tensor logProbabilities = torch.gather(all, 1, actions).squeeze(1);
          Tensor probabilities = torch.exp(all);
          Tensor entropies = torch.neg(torch.sum(torch.mul(probabilities, all), -1));

          Tensor ratio = torch.exp(logProbabilities.sub(old));
          Tensor plain = torch.neg(torch.mul(advantages, ratio));
          Tensor clipped = torch.neg(torch.mul(advantages, torch.clamp(ratio, atLeast, atMost)));
          Tensor policyLosses = torch.maximum(plain, clipped);
          Tensor near =
              torch.minimum(torch.maximum(values, oldValues.sub(range)), oldValues.add(range));
          Tensor error = values.sub(returns);
          Tensor squared = torch.square(error);
          Tensor nearSquared = torch.square(near.sub(returns));
          Tensor valueLosses = torch.mul(torch.maximum(squared, nearSquared), half);

          // Of two equals, which are so within the clip range, both pass theirs on.
          Tensor slope = torch.mul(torch.mul(weights, plain), plain.ge(clipped)).unsqueeze(1);
          Tensor share = torch.mul(weights, bonus).unsqueeze(1);
          Tensor g =
              torch.mul(
                  probabilities, torch.mul(all.add(entropies.unsqueeze(1)), share).sub(slope));
          Tensor dx = torch.mm(g.scatter_add(1, actions, slope).to(w.scalar_type()), w);
          Tensor dvalues =
              torch.mul(
                  torch.mul(torch.mul(weights, valueCoefficient), error), squared.ge(nearSquared));
          Tensor[] next = {logProbabilities, entropies, policyLosses, valueLosses, dx, dvalues};
          for (Tensor each : next) {
            each.retainReference();
          }
          for (Tensor each : results) {
            each.close();
          }
          results = next;
        }
      }

      @Override
      public void publish() {
        for (int i = 0; i < outputs.length; i++) {
          outputs[i].copy_(results[i]);
        }
      }
    };
  }

  /** Runs TRL's loop over the tokens of a padded batch. */
  private static Call gae(LossProblem.Gae p) {
    int length = Math.toIntExact(p.rewards().columns());
    Tensor rewards = view(p.rewards());
    Tensor values = view(p.values());
    Tensor mask = Tensor.create(mask(p), p.rewards().rows(), length);
    Scalar gamma = new Scalar(p.gamma());
    Scalar decay = new Scalar(p.gamma() * p.lambda());
    return call(
        () -> {
          Tensor reward = torch.mul(rewards, mask);
          Tensor value = torch.mul(values, mask);
          Tensor last = torch.zeros_like(value.select(1, 0));
          Tensor next = last;
          TensorVector advantages = new TensorVector(length);
          for (int t = length - 1; t >= 0; t--) {
            Tensor now = value.select(1, t);
            Tensor delta = torch.add(reward.select(1, t), next, gamma).sub(now);
            last = torch.add(delta, last, decay);
            advantages.put(t, last);
            next = now;
          }
          return torch.stack(advantages, 1);
        },
        view(p.advantages()));
  }

  private static float[] mask(LossProblem.Gae p) {
    int length = Math.toIntExact(p.rewards().columns());
    float[] mask = new float[Math.toIntExact(p.rewards().rows()) * length];
    for (int i = 0; i < mask.length; i++) {
      int of = p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, i / length);
      mask[i] = i % length < of ? 1 : 0;
    }
    return mask;
  }
}
