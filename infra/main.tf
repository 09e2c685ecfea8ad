# PitWall in one project. What each part is for is said at the top of its module.

data "google_project" "project" {
  project_id = var.project
}

# Hosting finds the API by its region, which firebase.json has to name: it has no variables.
check "hosting" {
  assert {
    condition     = alltrue([for rewrite in jsondecode(file("${path.module}/../firebase.json")).hosting.rewrites : rewrite.run.region == var.region])
    error_message = "firebase.json sends the API's requests to another region than ${var.region}: change it there before `firebase deploy --only hosting`."
  }
}

locals {
  raw_bucket       = "${var.project}-raw"
  source_bucket    = "${var.project}-source"
  telemetry_bucket = "${var.project}-telemetry"
  environment      = merge(local.defaults, var.settings, local.wired)

  topics = {
    timing = "documents-that-changed"
    events = "what-happened"
    raw    = "raw-messages-of-the-feed"
    budget = "costs-as-cloud-billing-tells"
    jobs   = "turns-of-jobs"
  }
  subscriptions = {
    timing-writer  = { topic = "timing", function = "writer" }
    raw-recorder   = { topic = "raw", function = "recorder" }
    budget-economy = { topic = "budget", function = "economy" }
    jobs-worker    = { topic = "jobs", function = "jobs" }
  }
  # A turn of a job may take as long as Pub/Sub waits, and what it asks servers for is asked again later and later.
  slow_subscriptions = {
    jobs-worker = { ack_deadline_s = 600, minimum_backoff_s = 10, maximum_backoff_s = 600 }
  }

  # Those of kart tracks are made where there are any, as a job costs also while it is paused.
  jobs = {
    karts-a    = { function = "karts", does = "Polls the kart tracks that are on, every minute", schedule = "* * * * *", deadline_s = 1800, retries = 0, paused = false, wanted = var.karts }
    karts-b    = { function = "karts", does = "Another time, so that one stands by", schedule = "* * * * *", deadline_s = 1800, retries = 0, paused = false, wanted = var.karts }
    poller-a   = { function = "poller", does = "Starts a poller every minute", schedule = "* * * * *", deadline_s = 1800, retries = 0, paused = var.polled_by == "collector", wanted = true }
    poller-b   = { function = "poller", does = "Starts another one, so that one stands by", schedule = "* * * * *", deadline_s = 1800, retries = 0, paused = var.polled_by == "collector", wanted = true }
    reconciler = { function = "reconciler", does = "Looks for the last session's archive", schedule = "*/15 * * * *", deadline_s = 1800, retries = 0, paused = false, wanted = true }
    schedule   = { function = "schedule", does = "Reads the season's calendar", schedule = "17 5 * * *", deadline_s = 600, retries = 3, paused = false, wanted = true }
  }
}

module "apis" {
  source = "./modules/apis"

  project = var.project
  services = setunion([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firebase.googleapis.com",
    "firebasehosting.googleapis.com",
    "firebaserules.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "identitytoolkit.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    ],
    var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
    var.app_check ? ["firebaseappcheck.googleapis.com"] : [],
    local.to_google ? ["telemetry.googleapis.com"] : [],
  )
}

module "accounts" {
  source = "./modules/accounts"

  project  = var.project
  accounts = local.accounts

  depends_on = [module.apis]
}

module "database" {
  source = "./modules/database"

  project     = var.project
  location    = var.region
  indexes     = file("${path.module}/../firestore.indexes.json")
  protected   = var.protected
  backup_days = var.backup_days

  depends_on = [module.apis]
}

module "rules" {
  source = "./modules/rules"

  project = var.project
  rulesets = {
    open   = file("${path.module}/../firestore.rules")
    closed = file("${path.module}/../firestore.closed.rules")
  }
  released = var.economy == "closed" ? "closed" : "open"

  depends_on = [module.database]
}

# Without a token of App Check Firestore answers no app. The API checks by itself (PITWALL_APP_CHECK).
resource "google_firebase_app_check_service_config" "firestore" {
  count = var.app_check ? 1 : 0

  project          = var.project
  service_id       = "firestore.googleapis.com"
  enforcement_mode = "ENFORCED"

  depends_on = [module.apis]
}

module "raw" {
  source = "./modules/storage"

  project           = var.project
  name              = local.raw_bucket
  region            = var.region
  colder_after_days = { NEARLINE = 30, ARCHIVE = 180 }
  delete_after_days = var.raw_retention_days
  deleted_sooner    = var.kart_retention_days == 0 ? {} : { "kart-" = var.kart_retention_days }
  protected         = var.protected

  depends_on = [module.apis]
}

# Telemetry can be computed once more, from the archive; what nobody has asked for in months is kept for less.
module "telemetry" {
  source = "./modules/storage"

  project           = var.project
  name              = local.telemetry_bucket
  region            = var.region
  colder_after_days = { NEARLINE = 90, COLDLINE = 365 }
  deleted_sooner    = { "privacy/" = 7 } # what was exported of a person
  protected         = false
  read_by_pages     = true

  depends_on = [module.apis]
}

module "source" {
  source = "./modules/storage"

  project   = var.project
  name      = local.source_bucket
  region    = var.region
  protected = false

  depends_on = [module.apis]
}

module "secrets" {
  source = "./modules/secrets"

  project = var.project
  region  = var.region
  secrets = local.secrets

  depends_on = [module.apis]
}

module "builder" {
  source = "./modules/builder"

  project = var.project
  region  = var.region
  bucket  = module.source.bucket.name
  bundle  = var.bundle

  depends_on = [module.apis]
}

module "access" {
  source = "./modules/access"

  project = var.project
  region  = var.region
  roles   = local.roles
  grants  = local.grants

  depends_on = [module.accounts, module.builder, module.raw, module.secrets, module.source, module.telemetry]
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  project     = var.project
  region      = var.region
  name        = each.key
  description = each.value.does
  account     = module.accounts.emails["pitwall-${each.key}"]
  public      = each.value.public
  memory      = each.value.memory
  concurrency = each.value.concurrency
  instances   = each.value.instances
  timeout_s   = each.value.timeout_s

  build = {
    bucket     = module.source.bucket.name
    object     = module.builder.object
    account    = module.accounts.emails["pitwall-build"]
    repository = module.builder.repository
  }

  # An empty variable is as one that is not set.
  environment = { for name, value in merge(local.environment, lookup(local.of_function, each.key, {})) : name => value if value != "" }
  secrets     = { for name, secret in lookup(local.secrets_of, each.key, {}) : name => secret if contains(var.secrets_with_values, secret) }

  depends_on = [module.access]
}

module "pubsub" {
  source = "./modules/pubsub"

  project      = var.project
  region       = var.region
  topics       = local.topics
  push_account = module.accounts.emails["pitwall-push"]
  subscriptions = {
    for id, s in local.subscriptions :
    id => merge({ topic = s.topic, endpoint = module.function[s.function].url }, lookup(local.slow_subscriptions, id, {}))
  }

  depends_on = [module.apis]
}

module "late_access" {
  source = "./modules/access"

  project = var.project
  region  = var.region
  grants  = local.late_grants

  depends_on = [module.accounts, module.function, module.pubsub]
}

module "job" {
  source   = "./modules/job"
  for_each = { for name, job in local.jobs : name => job if job.wanted }

  project     = var.project
  region      = var.region
  name        = each.key
  description = each.value.does
  schedule    = each.value.schedule
  url         = module.function[each.value.function].url
  body        = each.value.function == "karts" ? {} : { feed = var.feed }
  account     = module.accounts.emails["pitwall-scheduler"]
  deadline_s  = each.value.deadline_s
  retries     = each.value.retries
  paused      = each.value.paused

  depends_on = [module.late_access]
}

module "monitoring" {
  source = "./modules/monitoring"

  project   = var.project
  functions = keys(local.functions)
  api_host  = trimprefix(module.function["api"].url, "https://")
  emails    = var.alert_emails

  depends_on = [module.apis, module.pubsub]
}

module "budget" {
  source = "./modules/budget"
  count  = var.billing_account == "" ? 0 : 1

  project         = var.project
  project_number  = data.google_project.project.number
  billing_account = var.billing_account
  amount          = var.budget
  tell_at         = sort([0.5, tonumber(local.environment.PITWALL_ECONOMY_SLOW_AT), tonumber(local.environment.PITWALL_ECONOMY_CLOSED_AT)])
  topic           = module.pubsub.topics["budget"].id
  channels        = slice(module.monitoring.channels, 0, min(5, length(module.monitoring.channels)))

  depends_on = [module.late_access]
}
