package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.calls;
import static dev.precis.benchmarks.TorchTensors.gradients;
import static dev.precis.benchmarks.TorchTensors.leaf;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.DistillationLoss;
import dev.precis.ops.PpoLoss;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Losses over the vocabulary, and the advantages that one of them needs in libtorch. */
final class TorchLosses {
  /** The label that cross_entropy leaves out by default. */
  private static final long IGNORED = -100;

  private TorchLosses() {}

  static Call prepare(LossProblem problem) {
    return switch (problem) {
      case LossProblem.PpoLoss p -> ppoLoss(p);
      case LossProblem.Gae p -> gae(p);
      case LossProblem.LinearCrossEntropy p -> linearCrossEntropy(p);
      case LossProblem.LogProbability p -> logProbability(p);
      case LossProblem.DistillationLoss p -> distillationLoss(p);
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
    return calls(
        () -> {
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
          return new Tensor[] {logProbabilities, entropies, policyLosses, valueLosses, dx, dvalues};
        },
        view(p.logProbabilities()),
        view(p.entropies()),
        view(p.policyLosses()),
        view(p.valueLosses()),
        view(p.dx()),
        view(p.dvalues()));
  }

  /** Computes the loss of T5 in transformers with label smoothing, and autograd's gradient. */
  private static Call linearCrossEntropy(LossProblem.LinearCrossEntropy p) {
    Tensor x = leaf(p.x());
    Tensor w = view(p.w());
    Tensor labels = view(p.labels()).to(ScalarType.Long);
    TensorOptional unweighted = new TensorOptional();
    long eachRow = torch.Reduction.None.value;
    TensorVector slopes = new TensorVector(constant(p.gradScale(), x).to(x.scalar_type()));
    TensorVector leaves = new TensorVector(x);
    BoolOptional dropGraph = new BoolOptional(false);
    return calls(
        () -> {
          Tensor losses =
              torch.cross_entropy_loss(
                  torch.linear(x, w), labels, unweighted, eachRow, IGNORED, p.smoothing());
          Tensor dx = gradients(new TensorVector(losses), slopes, leaves, dropGraph)[0];
          return new Tensor[] {losses.detach(), dx};
        },
        view(p.losses()),
        view(p.dx()));
  }

  /**
   * Computes TRL's log-probabilities of tokens and entropies, which have no gradient, and
   * autograd's gradient of the former where it is wanted.
   */
  private static Call logProbability(LossProblem.LogProbability p) {
    boolean backward = p.dx() != null;
    Tensor x = backward ? leaf(p.x()) : view(p.x());
    Tensor w = view(p.w());
    Tensor labels = view(p.labels()).to(ScalarType.Long).unsqueeze(1);
    Tensor logProbabilities = view(p.logProbabilities());
    Tensor entropies = view(p.entropies());
    UnaryOperator<Tensor> ofLabels = all -> torch.gather(all, 1, labels).squeeze(1);
    UnaryOperator<Tensor> entropy = all -> torch.neg(torch.sum(torch.exp(all).mul_(all), -1));
    if (!backward) {
      return calls(
          () -> {
            Tensor all = torch.log_softmax(torch.linear(x, w), -1);
            return new Tensor[] {ofLabels.apply(all), entropy.apply(all)};
          },
          logProbabilities,
          entropies);
    }
    TensorVector slopes = new TensorVector(view(p.dlogProbabilities()).to(x.scalar_type()));
    TensorVector leaves = new TensorVector(x);
    BoolOptional dropGraph = new BoolOptional(false);
    return calls(
        () -> {
          Tensor all = torch.log_softmax(torch.linear(x, w), -1);
          Tensor chosen = ofLabels.apply(all);
          Tensor dx = gradients(new TensorVector(chosen), slopes, leaves, dropGraph)[0];
          return new Tensor[] {chosen.detach(), entropy.apply(all.detach()), dx};
        },
        logProbabilities,
        entropies,
        view(p.dx()));
  }

  /**
   * Computes the generalized Jensen-Shannon divergence of TRL's GKD and the cross-entropy of
   * labels, and autograd's gradient of their weighted sum.
   */
  private static Call distillationLoss(LossProblem.DistillationLoss p) {
    DistillationLoss.Coefficients c = p.coefficients();
    Tensor x = leaf(p.x());
    Tensor w = view(p.w());
    Tensor teacherX = view(p.teacherX());
    Tensor teacherW = view(p.teacherW());
    Tensor labels = view(p.labels()).to(ScalarType.Long);
    TensorOptional unweighted = new TensorOptional();
    long eachRow = torch.Reduction.None.value;
    Scalar temperature = new Scalar(c.temperature());
    Scalar beta = new Scalar(c.beta());
    Scalar rest = new Scalar(1 - c.beta());
    Scalar logBeta = new Scalar(Math.log(c.beta()));
    Scalar logRest = new Scalar(Math.log1p(-c.beta()));
    TensorVector slopes =
        new TensorVector(constant(c.divergenceWeight(), x), constant(c.labelWeight(), x));
    TensorVector leaves = new TensorVector(x);
    BoolOptional dropGraph = new BoolOptional(false);
    return calls(
        () -> {
          Tensor logits = torch.linear(x, w).to(ScalarType.Float);
          Tensor student = torch.log_softmax(logits.div(temperature), -1);
          Tensor teacherLogits = torch.linear(teacherX, teacherW).to(ScalarType.Float);
          Tensor teacher = torch.log_softmax(teacherLogits.div_(temperature), -1);
          Tensor divergences;
          if (c.beta() == 0) {
            divergences = divergence(teacher, student);
          } else if (c.beta() == 1) {
            divergences = divergence(student, teacher);
          } else {
            Tensor mixture = torch.logaddexp(student.add(logRest), teacher.add(logBeta));
            divergences =
                torch.add(
                    torch.mul(divergence(teacher, mixture), beta),
                    torch.mul(divergence(student, mixture), rest));
          }
          Tensor crossEntropies =
              torch.cross_entropy_loss(logits, labels, unweighted, eachRow, IGNORED, 0);
          TensorVector losses = new TensorVector(divergences, crossEntropies);
          Tensor dx = gradients(losses, slopes, leaves, dropGraph)[0];
          return new Tensor[] {divergences.detach(), crossEntropies.detach(), dx};
        },
        view(p.divergences()),
        view(p.crossEntropies()),
        view(p.dx()));
  }

  /** Returns KL(of || from) of each row of log-probabilities. */
  private static Tensor divergence(Tensor of, Tensor from) {
    return torch.sum(torch.kl_div(from, of, torch.Reduction.None.value, true), -1);
  }

  /** Returns a weight for each row of x, the same for all. */
  private static Tensor constant(float value, Tensor x) {
    float[] values = new float[Math.toIntExact(x.size(0))];
    Arrays.fill(values, value);
    return Tensor.create(values);
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
